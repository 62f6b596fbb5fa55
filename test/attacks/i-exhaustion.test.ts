import { readFileSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { open, sendRaw } from '../support/raw-client.ts'
import { eventually } from '../support/sallyport.ts'
import type { Step } from '../support/upstream.ts'
import { besiege, expectRefused, type Siege, valuesIn } from './siege.ts'

/** Section I of the catalogue: too much, too long, too slow. Ids are the catalogue's. */
let siege: Siege
/** Accepts, and never says a word of TLS. */
let mute: Server
let slow: Slow

const answers = new Map<string, readonly Step[]>()

beforeAll(async () => {
  mute = createServer((socket) => socket.on('error', () => undefined))
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve))
  // A server on TCP has an address of this shape.
  const { port } = mute.address() as { port: number }
  siege = await besiege({
    // What is held for good ends the process here; what is garbage is swept out sooner, and does not count.
    env: { NODE_OPTIONS: '--max-old-space-size=56' },
    script: (path) => answers.get(path),
    settings: ({ connection }) => ({
      connections: {
        narrow: connection('narrow', ['a.x.test'], { limits: { maxConcurrent: 2, responseTimeoutMs: 5_000 } }),
        quick: connection('quick', ['query.test'], { limits: { responseTimeoutMs: 2_000, maxRequestBytes: 1000 } }),
        idle: connection('idle', ['scoped.test'], { limits: { idleTimeoutMs: 300, responseTimeoutMs: 300 } }),
        mute: connection('mute', ['ws.test'], { port, limits: { connectTimeoutMs: 300 } }),
      },
      grants: [
        ...['narrow', 'quick', 'mute', 'idle'].map((name) => ({ caller: 'alpha', connection: name })),
        { caller: 'beta', connection: 'narrow' },
      ],
    }),
  })
  slow = startSlowly()
})

afterAll(async () => {
  await siege.end()
  mute.close()
})

const ANSWERED = { until: /\r\n\r\n[\s\S]*(?:ok|\}\n)$/ }

function attack(template: string, wait: object = ANSWERED) {
  return siege.attack(siege.forward, siege.bytes('forward', template), wait)
}

describe('I04 sizes', () => {
  test('a target of 8 000 bytes is relayed', async () => {
    const path = `/${'a'.repeat(7_999)}`
    const { requests } = await attack(`GET http://api.test${path} HTTP/1.1⏎{H}⏎`)
    expect(requests.map(({ line }) => line)).toEqual([`GET ${path} HTTP/1.1`])
  })

  test.each([
    ['a target of 8 200 bytes', `GET http://api.test/${'a'.repeat(8_180)} HTTP/1.1⏎{H}⏎`, [414]],
    ['a target of 64 KiB', `GET http://api.test/${'a'.repeat(65_536)} HTTP/1.1⏎{H}⏎`, [414, 431]],
    ['a head of 16 KiB and more', `GET http://api.test/ HTTP/1.1⏎{H}X: ${'a'.repeat(16_384)}⏎⏎`, [431]],
    ['a head without an end', `GET http://api.test/ HTTP/1.1⏎{H}X: ${'a'.repeat(200_000)}`, [431]],
    ['a method without an end', 'A'.repeat(200_000), [400, 431]],
  ])('%s is refused', async (_name, template, statuses) => expectRefused(await attack(template, {}), statuses))

  test('a body that is announced as too large is refused before a byte of it', async () => {
    const { status, sent } = await attack('POST http://query.test/ HTTP/1.1⏎{H}Content-Length: 1001⏎⏎')
    expect([status, sent]).toEqual([413, ''])
  })

  test('a body that turns out too large ends the request', async () => {
    const chunks = `3e8⏎${'x'.repeat(1000)}⏎1⏎x⏎0⏎⏎`
    answers.set('/sink', ['hang'])
    const { status, requests } = await attack(
      `POST http://query.test/sink HTTP/1.1⏎{H}Transfer-Encoding: chunked⏎⏎${chunks}`,
    )
    expect(status).toBe(413)
    expect(requests).toEqual([])
  })
})

describe('I07 more requests at once than allowed', () => {
  test('are refused with Retry-After, for that caller alone, until one has ended', async () => {
    let release: (() => void) | undefined
    const released = new Promise<void>((resolve) => (release = resolve))
    answers.set('/held', [{ wait: released }, { send: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok' }])
    const held = [hold('/held'), hold('/held')]
    await eventually(() => (heldAt('/held') === 2 ? true : undefined), 'both to be at the upstream')
    const third = await attack('GET http://a.x.test/third HTTP/1.1⏎{H}⏎')
    expect([third.status, third.sent]).toEqual([429, ''])
    expect(Number(valuesIn(third.text, 'retry-after')[0])).toBeGreaterThan(0)
    const other = `GET http://a.x.test/other HTTP/1.1\r\nHost: a\r\nProxy-Authorization: Bearer ${siege.keys.beta}\r\n\r\n`
    expect((await sendRaw(siege.forward, other, ANSWERED)).status).toBe(200)
    release?.()
    await Promise.all(held.map(({ ended }) => ended))
    expect((await attack('GET http://a.x.test/third HTTP/1.1⏎{H}⏎')).status).toBe(200)
  })

  test('count no more when their callers have left', async () => {
    answers.set('/abandoned', ['hang'])
    const held = [hold('/abandoned'), hold('/abandoned')]
    await eventually(() => (heldAt('/abandoned') === 2 ? true : undefined), 'both to be at the upstream')
    for (const { socket } of held) socket.destroy()
    const next = siege.bytes('forward', 'GET http://a.x.test/next HTTP/1.1⏎{H}⏎')
    await eventually(
      async () => ((await sendRaw(siege.forward, next, ANSWERED)).status === 200 ? true : undefined),
      'a free place',
    )
    const upstreams = siege.upstream.connections.filter(({ bytes }) => bytes.includes('GET /abandoned '))
    await eventually(() => (upstreams.every(({ closed }) => closed) ? true : undefined), 'the upstream to be told')
  })

  function hold(path: string): { socket: Socket; ended: Promise<void> } {
    const socket = open(siege.forward)
    socket.on('error', () => undefined)
    socket.write(siege.bytes('forward', `GET http://a.x.test${path} HTTP/1.1⏎{H}Connection: close⏎⏎`))
    socket.resume()
    return { socket, ended: new Promise((resolve) => socket.on('close', () => resolve())) }
  }

  function heldAt(path: string): number {
    return siege.upstream.connections.filter(({ bytes }) => bytes.includes(`GET ${path} `)).length
  }
})

test('I09 10 000 requests in one write are answered in order or not at all, and fill no memory', async () => {
  const before = residentMiB()
  const last = 'GET http://a.x.test/last HTTP/1.1⏎{H}Connection: close⏎⏎'
  const many = siege.bytes('forward', 'GET http://a.x.test/many HTTP/1.1⏎{H}⏎'.repeat(9_999) + last)
  const sight = await siege.attack(siege.forward, many, { deadlineMs: 45_000 })
  const answered = sight.text.match(/HTTP\/1\.1 \d{3}/g) ?? []
  expect([answered.length, sight.closed]).toEqual([10_000, true])
  expect(new Set(answered)).toEqual(new Set(['HTTP/1.1 200', 'HTTP/1.1 429']))
  expect(answered.filter((line) => line.endsWith('200'))).toHaveLength(sight.requests.length)
  expect(residentMiB() - before).toBeLessThan(64)
})

test.each([
  ['I11 an upstream that never answers', 'http://query.test/never', ['hang' as const]],
  ['I11 an upstream that accepts and never says a word', 'http://ws.test/never', []],
])('%s is a timeout', async (_name, target, steps) => {
  answers.set('/never', steps)
  const { status, text } = await attack(`GET ${target} HTTP/1.1⏎{H}⏎`)
  expect(status).toBe(504)
  expect(text).toContain('upstream-timeout')
})

describe('I03', () => {
  test('an upload that stops moving is ended', async () => {
    answers.set('/upload', ['hang'])
    const { closed, status, requests } = await attack(
      'POST http://scoped.test/upload HTTP/1.1⏎{H}Content-Length: 10⏎⏎abc',
      { until: /\}\n$/ },
    )
    expect([408, 504, 0]).toContain(status)
    expect(closed || status !== 0).toBe(true)
    expect(requests).toEqual([])
  })

  test('an answer that its caller does not read is ended', async () => {
    answers.set('/unread', [
      {
        send: Buffer.concat([
          Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n'),
          Buffer.alloc(16 << 20, 'x'),
        ]),
      },
    ])
    const socket = open(siege.forward)
    socket.on('error', () => undefined)
    socket.write(siege.bytes('forward', 'GET http://scoped.test/unread HTTP/1.1⏎{H}⏎'))
    await new Promise((resolve) => socket.once('readable', resolve))
    const used = siege.upstream.connections.find(({ bytes }) => bytes.includes('GET /unread '))
    await eventually(() => used?.closed || undefined, 'the upstream connection to be given up')
    socket.destroy()
  })
})

test.each([
  ['HTTP/2', 'PRI * HTTP/2.0⏎⏎SM⏎⏎\x00\x00\x00\x04\x00\x00\x00\x00\x00'],
  ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  ['SOCKS5', '\x05\x01\x00'],
  ['SOCKS4', '\x04\x01\x01\xbb\x7f\x00\x00\x01user\x00'],
  ['SSH', 'SSH-2.0-OpenSSH_9⏎'],
  ['a PROXY header', 'PROXY TCP4 10.0.0.1 10.0.0.2 1 2⏎GET http://api.test/ HTTP/1.1⏎{H}⏎'],
  ['zeros', '\0'.repeat(1000)],
])('I15 %s on a plain door is turned away', async (_name, template) => {
  for (const address of [siege.forward, siege.reverse]) {
    const sight = await siege.attack(address, siege.bytes('forward', template))
    expectRefused(sight, [400, 505])
  }
})

test('I02 a head that drips in is given up after ten seconds, and others are served meanwhile', async () => {
  const { text, seconds } = await slow
  expect(text).toMatch(/^HTTP\/1\.1 408 /)
  expect(seconds).toBeGreaterThan(9)
  expect(seconds).toBeLessThan(20)
})

type Slow = Promise<{ readonly text: string; readonly seconds: number }>

/** A byte every half second, from the start of this file on, so that the other tests fill the time. */
function startSlowly(): Slow {
  const start = performance.now()
  const socket = open(siege.forward)
  let text = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk))
  socket.on('error', () => undefined)
  socket.write('GET http://api.test/ HTTP/1.1\r\nHost: a\r\nX: ')
  const timer = setInterval(() => socket.write('x'), 500)
  return new Promise((resolve) =>
    socket.on('close', () => {
      clearInterval(timer)
      resolve({ text, seconds: (performance.now() - start) / 1000 })
    }),
  )
}

function residentMiB(): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${siege.sallyport.pid}/status`, 'utf8'))?.[1]) / 1024
}

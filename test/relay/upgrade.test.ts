import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import type { Problem } from '../../src/core/problem.ts'
import type { Outcome } from '../../src/relay/http.ts'
import { type Handshake, relayUpgrade } from '../../src/relay/upgrade.ts'
import { eventually } from '../support/sallyport.ts'

/**
 * What http-proxy 1.18.1 gets wrong by itself where a connection is upgraded, and what must hold all the same: a test for
 * each row of the comparison that chose it (bare it leaks, hangs, corrupts framing and rewrites paths).
 */

const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
const ACCEPT = createHash('sha1').update(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
const SWITCH = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${ACCEPT}\r\n`
const FIELDS = ['Host', 'api.test', 'Sec-WebSocket-Key', KEY, 'Connection', 'Upgrade', 'Upgrade', 'websocket']

/** One handshake under way: an app, the adapter between two real sockets, and an upstream. */
interface Scene {
  readonly app: Socket
  readonly upstream: Socket
  /** Our own end of the way up. */
  readonly up: Socket
  /** What the app got so far. */
  got(): string
  /** What the upstream got so far. */
  asked(): string
  readonly outcome: Promise<Outcome>
  readonly refused: readonly Problem[]
}

/** Puts the adapter between an app and an upstream, which answers with these bytes as soon as it has the head. */
async function stage(answer: string, changes: Partial<Handshake> = {}): Promise<Scene> {
  const [app, caller] = await pair({ allowHalfOpen: true })
  const [up, upstream] = await pair()
  const refused: Problem[] = []
  const refuse = (problem: Problem) => {
    refused.push(problem)
    caller.end('HTTP/1.1 502 Refused\r\n\r\n')
    return 502
  }
  const got = textOf(app)
  const asked = textOf(upstream)
  upstream.once('data', () => upstream.write(Buffer.from(answer, 'latin1')))
  const head = Buffer.alloc(0)
  const outcome = relayUpgrade({
    path: '/',
    fields: FIELDS,
    upstream: up,
    caller,
    head,
    refuse,
    timeoutMs: 5_000,
    ...changes,
  })
  return { app, up, upstream, got, asked, outcome, refused }
}

/** Both ends of a TCP connection: the one that connected, and the one that was accepted. */
async function pair(options: { allowHalfOpen?: boolean } = {}): Promise<[Socket, Socket]> {
  const server: Server = createServer(options).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number } // a TCP server has an address of this form
  const connected = connect(port, '127.0.0.1')
  const [opened] = await Promise.all([once(server, 'connection'), once(connected, 'connect')])
  const accepted: Socket | undefined = opened[0]
  server.close()
  if (!accepted) throw new Error('nobody connected')
  for (const socket of [connected, accepted]) socket.on('error', () => undefined)
  onTestFinished(() => {
    connected.destroy()
    accepted.destroy()
  })
  return [connected, accepted]
}

function textOf(socket: Socket): () => string {
  let text = ''
  socket.on('data', (chunk) => (text += chunk.toString('latin1')))
  return () => text
}

function seen(text: () => string, pattern: RegExp): Promise<string> {
  return eventually(() => pattern.exec(text())?.[0], String(pattern), 3_000)
}

function closed(socket: Socket): Promise<true> {
  return eventually(() => socket.closed || undefined, 'a socket to close', 3_000)
}

test('frames go both ways after the switch, and those that came with it are not lost', async () => {
  const { app, upstream, got, asked, outcome } = await stage(`${SWITCH}\r\nfirst`, { head: Buffer.from('early') })
  await seen(got, /\r\n\r\nfirst$/)
  await seen(asked, /\r\n\r\nearly$/)
  app.write('up')
  await seen(asked, /earlyup$/)
  upstream.write('down')
  await seen(got, /firstdown$/)
  app.end()
  expect(await outcome).toMatchObject({ ended: 'complete', status: 101, bytesOut: 9, upstreamAddress: '127.0.0.1' })
})

test.each(['/', '//double//slash', '/back\\slash', '/a/../b/%2e%2e/c', '/{braces}?q=//x\\y'])(
  'the path %s goes up as it is',
  async (path) => {
    const { asked } = await stage(`${SWITCH}\r\n`, { path })
    expect(await seen(asked, /^GET .*\r\n/)).toBe(`GET ${path} HTTP/1.1\r\n`)
  },
)

test('fields go up in their own spelling, each as often as it was sent', async () => {
  const fields = [...FIELDS, 'Sec-WebSocket-Protocol', 'chat', 'X-MiXed', 'a', 'x-mixed', 'b', '__proto__', 'c']
  const { asked } = await stage(`${SWITCH}\r\n`, { fields })
  const head = await seen(asked, /^[\s\S]*\r\n\r\n/)
  expect(head).toMatch(/^Sec-WebSocket-Protocol: chat\r$/m)
  expect(head).toMatch(/^X-MiXed: a\r\nX-MiXed: b\r$/m)
  expect(head.match(/^upgrade: websocket\r$/gim)).toHaveLength(1)
  expect(head.match(/^connection: Upgrade\r$/gim)).toHaveLength(1)
})

test('of a 101, fields that are hop by hop stay behind, and each cookie comes through', async () => {
  const fields =
    'Keep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nTE: gzip\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Odd: \xe9\r\n'
  const { got } = await stage(
    `${SWITCH.replace('Connection: Upgrade', 'Connection: Upgrade, X-Hop')}X-Hop: 1\r\n${fields}\r\n`,
  )
  const head = await seen(got, /^[\s\S]*\r\n\r\n/)
  expect(head).not.toMatch(/keep-alive|proxy-|^te:|x-hop/im)
  expect(head).toMatch(/Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Odd: \xe9\r\n/)
})

test.each(['destroy', 'resetAndDestroy', 'end'] as const)(
  'when the app leaves before the answer by %s, the upstream socket closes',
  async (leave) => {
    const { app, upstream, asked, outcome } = await stage('')
    await seen(asked, /\r\n\r\n/)
    app[leave]()
    await closed(upstream)
    expect(await outcome).toMatchObject({ ended: 'gone', status: 0 })
  },
)

test.each(['destroy', 'resetAndDestroy', 'end'] as const)(
  'when the app leaves after the switch by %s, the socket to the upstream closes',
  async (leave) => {
    const { app, up, upstream, got, outcome } = await stage(`${SWITCH}\r\n`)
    await seen(got, /\r\n\r\n/)
    // It does not close in return.
    upstream.allowHalfOpen = true
    app[leave]()
    await closed(up)
    expect(await outcome).toMatchObject({ ended: 'complete', status: 101 })
  },
)

test('an app that had gone before all this leaves no upstream socket behind', async () => {
  const [app, caller] = await pair({ allowHalfOpen: true })
  app.destroy()
  caller.resume()
  await once(caller, 'end')
  const { upstream, outcome } = await stage('', { caller })
  await closed(upstream)
  expect(await outcome).toMatchObject({ ended: 'gone' })
})

test.each(['destroy', 'resetAndDestroy', 'end'] as const)(
  'when the upstream leaves after the switch by %s, the app sees the end',
  async (leave) => {
    const { app, upstream, got } = await stage(`${SWITCH}\r\n`)
    await seen(got, /\r\n\r\n/)
    upstream[leave]()
    await closed(app)
  },
)

test('what the upstream sent before it left arrives, however slowly it is read', async () => {
  const { app, upstream, got } = await stage(`${SWITCH}\r\n`)
  await seen(got, /\r\n\r\n/)
  app.pause()
  const size = 4 * 1024 * 1024
  upstream.end(Buffer.alloc(size, 'a'))
  await eventually(() => upstream.bytesWritten > size || undefined, 'the upstream to write')
  app.resume()
  await closed(app)
  expect(got().split('\r\n\r\n')[1]).toHaveLength(size)
})

test('a 401 in chunks is framed by the end of its connection', async () => {
  const { app, got, outcome } = await stage(
    'HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n',
  )
  await closed(app)
  expect(got()).toBe('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\nno')
  expect(await outcome).toMatchObject({ ended: 'complete', status: 401, bytesOut: 2 })
})

test.each([
  [undefined, false],
  [false, false],
  [true, true],
])('with relayChallenge %s, a challenge comes through: %s', async (relayChallenge, comes) => {
  const changes = relayChallenge === undefined ? {} : { relayChallenge }
  const { app, got } = await stage('HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nContent-Length: 2\r\n\r\nno', changes)
  await closed(app)
  expect(got().includes('WWW-Authenticate')).toBe(comes)
})

test.each(['destroy', 'end'] as const)(
  'an answer that the upstream breaks off by %s is a reset, not a hang and not a clean end',
  async (leave) => {
    const { app, upstream, got, outcome } = await stage(
      'HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf ',
    )
    await seen(got, /half $/)
    const reset = once(app, 'error')
    app.on('error', () => undefined)
    upstream[leave]()
    expect((await reset)[0]).toMatchObject({ code: 'ECONNRESET' })
    expect(await outcome).toMatchObject({ ended: 'broken', status: 403 })
  },
)

test.each([
  ['another key', SWITCH.replace(ACCEPT, KEY)],
  ['no key', SWITCH.replace(/Sec.*\r\n/, '')],
  ['another protocol', SWITCH.replace('websocket', 'foo/1')],
])('a switch with %s is refused, and no byte of it passes', async (_what, answer) => {
  const { app, got, outcome, refused } = await stage(`${answer}\r\nEVIL`)
  await closed(app)
  expect(got()).toBe('HTTP/1.1 502 Refused\r\n\r\n')
  expect(refused).toMatchObject([{ code: 'upstream-malformed' }])
  expect(await outcome).toMatchObject({
    ended: 'complete',
    status: 502,
    problem: { code: 'upstream-malformed' },
    bytesOut: 0,
  })
})

test.each([
  ['is silent', '', 'upstream-timeout', 100],
  ['says no HTTP', 'SSH-2.0\r\n\r\n', 'upstream-malformed', 5_000],
  ['says an odd coding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n', 'upstream-malformed', 5_000],
])('an upstream that %s is refused once', async (_what, answer, code, timeoutMs) => {
  const { app, got, outcome, refused } = await stage(answer, { timeoutMs })
  await closed(app)
  expect(got()).toBe('HTTP/1.1 502 Refused\r\n\r\n')
  expect(refused).toMatchObject([{ code }])
  expect(await outcome).toMatchObject({ status: 502, problem: { code } })
})

test('an upstream that closes without a word is refused as unreachable', async () => {
  const { upstream, asked, outcome, refused } = await stage('')
  await seen(asked, /\r\n\r\n/)
  upstream.end()
  expect(await outcome).toMatchObject({ status: 502, problem: { code: 'upstream-unreachable' } })
  expect(refused).toHaveLength(1)
})

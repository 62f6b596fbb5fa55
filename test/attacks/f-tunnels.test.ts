import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { helloFor } from '../support/hello.ts'
import { timed, timerAt } from '../support/own-time.ts'
import { closing, drain, type Peer, startPeer } from '../support/peers.ts'
import { CLOSED_PORT, freePort } from '../support/ports.ts'
import { open } from '../support/raw-client.ts'
import { eventually } from '../support/sallyport.ts'
import { talk } from '../support/tunnel.ts'
import type { Step } from '../support/upstream.ts'
import { askTunnel, connectsTo, entryOf, inside, readToEnd, tunnelTo } from './inside.ts'
import { besiege, type Siege } from './siege.ts'

/** Section F of the catalogue: the life and the end of tunnels. Ids are the catalogue's. */
let siege: Siege
/** Silent, unless a test speaks for it. */
let peer: Peer
/** Speaks first. */
let greeter: Peer
/** Sends back what it is sent. */
let echo: Peer
/** Of a door of ours. */
let own: number

const GREETING = 'SSH-2.0-OpenSSH_9.9\r\n'
const answers = new Map<string, readonly Step[]>()
const MIB = 1024 * 1024
/** Long enough for a busy machine to let a beat through. */
const IDLE_MS = 2_000
const MAX_MS = 900

beforeAll(async () => {
  peer = await startPeer()
  greeter = await startPeer((socket) => socket.write(GREETING))
  echo = await startPeer((socket) => socket.pipe(socket))
  own = await freePort()
  const hosts = ['peer', 'greeter', 'echo', 'idle', 'old', 'ending', 'one', 'tls', 'loop', 'gone', 'near']
  siege = await besiege({
    script: (path) => answers.get(path),
    settings: ({ connection }) => {
      const any = (port: number, rest = {}) => ({
        port,
        credential: { kind: 'none' },
        connect: 'tunnel',
        tunnel: 'any',
        ...rest,
      })
      const to = (name: string, rest: object) => [name, connection(name, [`${name}.test`], rest)] as const
      return {
        listeners: [{ kind: 'forward', listen: `127.0.0.1:${own}` }],
        ca: { directory: 'ca' },
        connections: Object.fromEntries([
          to('peer', any(peer.port)),
          to('greeter', any(greeter.port)),
          to('echo', any(echo.port)),
          to('idle', any(echo.port, { limits: { idleTimeoutMs: IDLE_MS } })),
          to('old', any(echo.port, { limits: { tunnelTimeoutMs: MAX_MS } })),
          to('ending', any(echo.port)),
          to('one', any(peer.port, { limits: { maxConcurrent: 1 } })),
          to('tls', any(peer.port, { tunnel: 'tls' })),
          to('loop', any(own)),
          to('gone', any(CLOSED_PORT)),
          to('near', any(peer.port, { allowPrivate: [] })),
        ]),
        grants: hosts.map((name) => ({
          caller: 'alpha',
          connection: name,
        })),
        allowlist: hosts.map((name) => `${name}.test`),
        hosts: Object.fromEntries(hosts.map((name) => [`${name}.test`, ['127.0.0.1']])),
      }
    },
  })
})

afterAll(async () => {
  await siege.end()
  await Promise.all([peer, greeter, echo].map((one) => one.close()))
})

function endingAt(until: number) {
  return (grant: Readonly<Record<string, unknown>>) =>
    grant['connection'] === 'ending' ? { ...grant, until: new Date(until).toISOString() } : grant
}

/** Both ends of a new tunnel to a silent peer. */
async function ends(host = 'peer.test') {
  const before = peer.sockets.length
  const caller = await tunnelTo(siege, { host, port: peer.port })
  const upstream = await eventually(() => peer.sockets[before], 'the connection at the peer')
  caller.allowHalfOpen = true
  return { caller, upstream }
}

test('F12: the end of the grant ends a tunnel at that millisecond, and opens no other', async () => {
  const socket = await tunnelTo(siege, { host: 'ending.test', port: echo.port })
  const beats = setInterval(() => socket.write('.'), 50)
  // The same grant, which has an end now: how long a start takes is for the machine to say.
  const until = Date.now() + 1_500
  await siege.reload(({ grants, ...rest }) => ({ ...rest, grants: grants.map(endingAt(until)) }))
  const ours = timerAt(until)
  await closing(socket)
  clearInterval(beats)
  const [entry] = await connectsTo(siege, 'ending.test')
  const cutAt = Date.parse(String(entry?.['time'])) + Number(entry?.['totalMs'])
  expect(cutAt).toBeGreaterThanOrEqual(until - 1)
  expect(cutAt).toBeLessThan((await ours) + 1_000)
  expect(entry).toMatchObject({
    code: 'access-revoked',
    reason: expect.stringMatching(/^grant-expired: grant .* expired/),
  })
  const { status, text } = await askTunnel(siege, { host: 'ending.test', port: echo.port })
  expect([status, text]).toEqual([403, expect.stringContaining('grant-expired')])
})

describe('bytes in an unopened tunnel', () => {
  test('whoever speaks first is heard', async () => {
    const server = await tunnelTo(siege, { host: 'greeter.test', port: greeter.port })
    expect((await talk(server, '', /\n$/)).text).toBe(GREETING)
    const client = await tunnelTo(siege, { host: 'echo.test', port: echo.port })
    expect((await talk(client, 'HELO', /HELO$/)).text).toBe('HELO')
  })

  test('nothing of ours is among them', async () => {
    const { caller, upstream } = await ends()
    const all = drain(upstream)
    caller.end('GET / HTTP/1.1\r\nHost: api.test\r\nProxy-Authorization: Basic eA==\r\n\r\n')
    expect(String((await all).bytes)).toBe(
      'GET / HTTP/1.1\r\nHost: api.test\r\nProxy-Authorization: Basic eA==\r\n\r\n',
    )
    upstream.end()
  })

  test.each(['all there is to say', ''])('F10: a caller may end in the packet of its CONNECT: %j', async (early) => {
    const before = peer.sockets.length
    const caller = open(siege.forward)
    caller.allowHalfOpen = true
    const answer = drain(caller)
    caller.end(siege.bytes('forward', `CONNECT peer.test:${peer.port} HTTP/1.1⏎{H}⏎${early}`))
    const upstream = await eventually(() => peer.sockets[before], 'the connection at the peer')
    expect(String((await drain(upstream)).bytes)).toBe(early)
    upstream.end('and the answer')
    expect(String((await answer).bytes)).toMatch(/^HTTP\/1\.1 200 [^\r]*\r\n\r\nand the answer$/)
  })

  test('F10: a MiB outstanding when the caller ends, and another one comes back', async () => {
    const [up, down] = [randomBytes(MIB), randomBytes(MIB)]
    const { caller, upstream } = await ends()
    const [atPeer, atCaller] = [drain(upstream), drain(caller)]
    caller.end(up)
    expect((await atPeer).bytes.equals(up)).toBe(true)
    upstream.end(down)
    const { bytes, isClean } = await atCaller
    expect([bytes.equals(down), isClean]).toEqual([true, true])
    const entry = await entryOf(siege, { host: 'peer.test', bytesIn: MIB, bytesOut: MIB })
    expect(entry).toMatchObject({ ended: 'complete', status: 200, tunnel: 'unopened', caller: 'alpha' })
  })

  test('F10: a MiB outstanding when the upstream ends, and the caller goes on', async () => {
    const [up, down] = [randomBytes(MIB), randomBytes(MIB)]
    const { caller, upstream } = await ends()
    const [atPeer, atCaller] = [drain(upstream), drain(caller)]
    upstream.end(down)
    expect((await atCaller).bytes.equals(down)).toBe(true)
    caller.end(up)
    const { bytes, isClean } = await atPeer
    expect([bytes.equals(up), isClean]).toEqual([true, true])
  })

  test('F11: what one side breaks off is broken off at the other, within a second', async () => {
    const first = await ends()
    first.upstream.resetAndDestroy()
    expect((await timed(() => closing(first.caller))).tookMs).toBeLessThan(1_000)
    const second = await ends()
    second.caller.resetAndDestroy()
    expect((await timed(() => closing(second.upstream))).tookMs).toBeLessThan(1_000)
    expect(await entryOf(siege, { host: 'peer.test', ended: 'broken' })).toMatchObject({ code: 'upstream-unreachable' })
    expect(await entryOf(siege, { host: 'peer.test', ended: 'gone' })).toMatchObject({ status: 200 })
  })

  test('F11 I07: a tunnel holds its place until it is closed', async () => {
    const { upstream } = await ends('one.test')
    const second = await askTunnel(siege, { host: 'one.test', port: peer.port })
    expect(second.status).toBe(429)
    expect(second.text).toContain('Retry-After: 1')
    upstream.resetAndDestroy()
    const isFree = async () =>
      (await askTunnel(siege, { host: 'one.test', port: peer.port })).status === 200 || undefined
    await eventually(isFree, 'the place', 1_000)
  })
})

describe('F12: a limit', () => {
  test('of idleness ends a tunnel that stands still, and none that is busy', async () => {
    const [still, busy] = await Promise.all([0, 1].map(() => tunnelTo(siege, { host: 'idle.test', port: echo.port })))
    if (!still || !busy) throw new Error('two tunnels were asked for')
    const beats = setInterval(() => busy.write('.'), 100)
    const took = await closing(still)
    expect(took).toBeGreaterThan(IDLE_MS * 0.9)
    expect(took).toBeLessThan(IDLE_MS * 2 + 2_000)
    expect(busy.destroyed).toBe(false)
    clearInterval(beats)
    const [entry] = await connectsTo(siege, 'idle.test')
    expect(entry).toMatchObject({ code: 'tunnel-closed', ended: 'broken', reason: `idle for ${IDLE_MS} ms` })
  })

  test('of age ends it, however busy', async () => {
    const socket = await tunnelTo(siege, { host: 'old.test', port: echo.port })
    const beats = setInterval(() => socket.write('.'), 50)
    const took = await closing(socket)
    clearInterval(beats)
    expect(took).toBeGreaterThan(MAX_MS * 0.9)
    expect(took).toBeLessThan(MAX_MS + 4_000)
    const [entry] = await connectsTo(siege, 'old.test')
    expect(entry).toMatchObject({ code: 'tunnel-closed', reason: `older than ${MAX_MS} ms` })
  })
})

describe('a CONNECT whose upstream fails is answered so, before any 200', () => {
  test.each([
    ['gone', 502, 'upstream-unreachable'],
    ['near', 403, 'address-not-allowed'],
    ['loop', 508, 'loop-detected'],
  ])('%s: %i', async (name, status, code) => {
    const answer = await askTunnel(siege, {
      host: `${name}.test`,
      port: { gone: CLOSED_PORT, near: peer.port, loop: own }[name] ?? 0,
    })
    expect([answer.status, answer.text]).toEqual([status, expect.stringContaining(code)])
  })
})

describe('F13: a handshake that does not get on', () => {
  const HANDSHAKE_MS = 10_000

  test('is over in time: a byte a second, half a ClientHello, and one whole without a second flight', async () => {
    const hello = await helloFor('api.test')
    const tls = { host: 'tls.test', port: peer.port }
    const drip = await tunnelTo(siege)
    let at = 0
    const drops = setInterval(() => drip.write(hello.subarray(at, ++at)), 1_000)
    const took = await Promise.all([
      closing(drip),
      readToEnd(await tunnelTo(siege), '', 40_000).then(({ tookMs }) => tookMs),
      readToEnd(await tunnelTo(siege), hello.subarray(0, 100), 40_000).then(({ tookMs }) => tookMs),
      readToEnd(await tunnelTo(siege), hello, 40_000).then(({ tookMs }) => tookMs),
      readToEnd(await tunnelTo(siege, tls), '', 40_000).then(({ tookMs }) => tookMs),
      readToEnd(await tunnelTo(siege, tls), hello.subarray(0, 100), 40_000).then(({ tookMs }) => tookMs),
    ])
    clearInterval(drops)
    for (const ms of took) {
      expect(ms).toBeGreaterThan(HANDSHAKE_MS - 500)
      expect(ms).toBeLessThan(HANDSHAKE_MS + 5_000)
    }
    await entryOf(siege, { reason: 'no whole ClientHello in time', tunnel: 'opened' })
    await entryOf(siege, { reason: 'no whole ClientHello in time', tunnel: 'unopened' })
    await entryOf(siege, { reason: 'the TLS handshake took too long' })
  })

  test.each([
    ['a ClientHello of more than 16 KiB', Buffer.from([22, 3, 1, 0x40, 0, 1, 0, 0x80, 0, 3, 3])],
    ['a record that is none', Buffer.from([22, 3, 1, 0, 0])],
    ['another message in its place', Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 0])],
    ['random bytes in a record', Buffer.concat([Buffer.from([22, 3, 3, 1, 0]), Buffer.alloc(256, 0xa5)])],
  ])('is over at once: %s', async (_what, bytes) => {
    for (const where of [{}, { host: 'tls.test', port: peer.port }]) {
      const { text, closed, tookMs } = await readToEnd(await tunnelTo(siege, where), bytes)
      expect([text, closed]).toEqual(['\x15\x03\x03\x00\x02\x02\x32', true])
      // Of the ten seconds that a handshake has.
      expect(tookMs).toBeLessThan(5_000)
    }
  })
})

describe('what is cut short upstream does not look whole in the tunnel', () => {
  const HEAD = 'HTTP/1.1 200 OK\r\n'
  test.each([
    ['a body of known length', `${HEAD}Content-Length: 100\r\n\r\nhalf`],
    ['a chunked one', `${HEAD}Transfer-Encoding: chunked\r\n\r\n64\r\nhalf`],
  ] as const)('B14 F17: %s', async (what, send) => {
    const path = `/${what.replaceAll(' ', '-')}`
    const socket = await inside(siege)
    answers.set(path, [{ send }, { wait: once(socket, 'data') }, 'fin'])
    // HTTP/1.0 has no chunks: a clean end would be the end of the body.
    const all = drain(socket)
    socket.write(`GET ${path} HTTP/1.0\r\n\r\n`)
    const { bytes, isClean } = await all
    expect([String(bytes), isClean]).toEqual([expect.stringMatching(/half$/), false])
    expect((await siege.entries(new RegExp(`^${path}$`), 1))[0]).toMatchObject({ ended: 'broken' })
  })
})

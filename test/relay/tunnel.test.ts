import { getEventListeners, once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import { TLSSocket, connect as tlsConnect } from 'node:tls'
import { expect, onTestFinished, test } from 'vitest'
import { Problem } from '../../src/core/problem.ts'
import type { Outcome } from '../../src/relay/http.ts'
import { relayTunnel, type TunnelTerms } from '../../src/relay/tunnel.ts'
import { makeAuthority } from '../support/certificates.ts'
import { eventually, privateDirectory, remove } from '../support/sallyport.ts'

const MIB = 2 ** 20
const LONG = { idleTimeoutMs: 60_000, maxMs: 60_000 }

/** Two ends at which somebody else sits, and the tunnel between our own. */
interface Scene {
  readonly app: Socket
  readonly caller: Socket
  readonly up: Socket
  readonly upstream: Socket
  readonly outcome: Promise<Outcome>
}

type Changes = Partial<Omit<TunnelTerms, 'upstream'>> & { readonly where?: Where }
type Where = 'tcp' | 'unix'

async function stage({ where = 'tcp', ...changes }: Changes = {}): Promise<Scene> {
  const [app, caller] = await pair(where)
  // As our dialler leaves it.
  const [up, upstream] = await pair(where, { allowHalfOpen: false })
  // Whose errors are the tunnel's to take.
  for (const own of [caller, up]) own.removeAllListeners('error')
  const outcome = relayTunnel({ caller, upstream: up, ...LONG, ...changes })
  return { app, caller, up, upstream, outcome }
}

/** Both ends of a connection: the one that connected, and the one that was accepted. */
async function pair(where: Where = 'tcp', { allowHalfOpen = true } = {}): Promise<[Socket, Socket]> {
  const directory = privateDirectory()
  onTestFinished(() => remove(directory))
  const server = createServer({ allowHalfOpen: true })
  server.listen(where === 'tcp' ? { port: 0, host: '127.0.0.1' } : { path: join(directory, 'socket') })
  await once(server, 'listening')
  const address = server.address()
  const connected =
    typeof address === 'string'
      ? connect({ path: address, allowHalfOpen })
      : connect({ port: address?.port ?? 0, host: '127.0.0.1', allowHalfOpen })
  const [opened] = await Promise.all([once(server, 'connection'), once(connected, 'connect')])
  const accepted: Socket = opened[0]
  server.close()
  for (const socket of [connected, accepted]) {
    socket.on('error', () => undefined)
    onTestFinished(() => void socket.destroy())
  }
  return [connected, accepted]
}

/** All that comes to this socket up to its end; its other direction stays as it is, which `for await` would destroy. */
async function rest(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  await finished(socket, { writable: false })
  return Buffer.concat(chunks)
}

/** Sends, and waits until it has come out at the other end. */
async function pass(text: string, from: Socket, to: Socket): Promise<void> {
  from.write(text)
  await eventually(() => to.read(text.length) ?? undefined, `"${text}" to pass`, 5_000)
}

function closed(socket: Socket): Promise<true> {
  return eventually(() => socket.closed || undefined, 'a socket to close', 1_000)
}

/** Bytes that differ from place to place. */
function pattern(size: number): Buffer {
  return Buffer.from(Uint32Array.from({ length: size / 4 }, (_, at) => at).buffer)
}

const BOTH_WAYS = [
  ['app', 'upstream'],
  ['upstream', 'app'],
] as const

test.each(BOTH_WAYS)('F10: %s ends first, 1 MiB behind, and %s still has 1 MiB to say', async (one, other) => {
  const scene = await stage()
  const first = scene[one]
  const second = scene[other]
  first.end(pattern(MIB))
  expect((await rest(second)).equals(pattern(MIB))).toBe(true)
  second.end(pattern(MIB))
  expect((await rest(first)).equals(pattern(MIB))).toBe(true)
  expect(await scene.outcome).toEqual({
    ended: 'complete',
    status: 200,
    bytesIn: MIB,
    bytesOut: MIB,
    upstreamAddress: '127.0.0.1',
  })
  expect(scene.caller.closed && scene.up.closed).toBe(true)
})

test('F10: over Unix sockets, both ending at once', async () => {
  const { app, upstream, outcome } = await stage({ where: 'unix' })
  app.end(pattern(4 * MIB))
  upstream.end(pattern(2 * MIB))
  const [toUpstream, toApp] = await Promise.all([rest(upstream), rest(app)])
  expect(toUpstream.equals(pattern(4 * MIB)) && toApp.equals(pattern(2 * MIB))).toBe(true)
  expect(await outcome).toMatchObject({ ended: 'complete', bytesIn: 4 * MIB, bytesOut: 2 * MIB })
})

test.each(BOTH_WAYS)('%s sends and ends, %s reads late: not a byte is lost, and few are held', async (one, other) => {
  const scene = await stage()
  const [first, second] = [scene[one], scene[other]]
  const [into, out] = one === 'app' ? [scene.caller, scene.up] : [scene.up, scene.caller]
  first.end(pattern(32 * MIB))
  await eventually(() => (out.writableNeedDrain && into.isPaused()) || undefined, 'the tunnel to push back')
  expect(first.writableLength).toBeGreaterThan(0)
  expect(into.readableLength + out.writableLength).toBeLessThan(MIB)
  expect((await rest(second)).equals(pattern(32 * MIB))).toBe(true)
  second.end()
  expect(await scene.outcome).toMatchObject({ ended: 'complete', [one === 'app' ? 'bytesIn' : 'bytesOut']: 32 * MIB })
})

test('what was unshifted before counts, and what was written before does not', async () => {
  const [app, caller] = await pair()
  const [up, upstream] = await pair()
  caller.write('HTTP/1.1 200 OK\r\n\r\n')
  caller.unshift('hello')
  const outcome = relayTunnel({ caller, upstream: up, ...LONG })
  app.end('!')
  upstream.end('yes')
  expect(String(await rest(upstream))).toBe('hello!')
  expect(String(await rest(app))).toBe('HTTP/1.1 200 OK\r\n\r\nyes')
  expect(await outcome).toMatchObject({ ended: 'complete', bytesIn: 6, bytesOut: 3 })
})

test('F11: an app that resets is gone, and the upstream sees a reset', async () => {
  const { app, up, upstream, outcome } = await stage()
  await pass('hello', app, upstream)
  app.resetAndDestroy()
  await closed(up)
  await expect(rest(upstream)).rejects.toMatchObject({ code: 'ECONNRESET' })
  expect(await outcome).toEqual({
    ended: 'gone',
    status: 200,
    bytesIn: 5,
    bytesOut: 0,
    upstreamAddress: '127.0.0.1',
  })
})

test('F11: an upstream that resets has broken it, and the app sees a reset', async () => {
  const { app, caller, upstream, outcome } = await stage()
  await pass('hello', app, upstream)
  upstream.resetAndDestroy()
  await closed(caller)
  await expect(rest(app)).rejects.toMatchObject({ code: 'ECONNRESET' })
  const problem = { code: 'upstream-unreachable', reason: 'the upstream broke the tunnel: ECONNRESET' }
  expect(await outcome).toMatchObject({ ended: 'broken', problem, bytesIn: 5 })
})

test.each(BOTH_WAYS)('F11: %s leaves altogether while %s sends', async (one, other) => {
  const scene = await stage()
  const stop = keepSending(scene[other])
  await once(scene[one], 'readable')
  scene[one].destroy()
  await closed(scene[other])
  stop()
  expect(await scene.outcome).toMatchObject({ ended: one === 'app' ? 'gone' : 'broken' })
})

test('F11: an app that resets when the upstream has ended is gone all the same', async () => {
  const { app, upstream, outcome } = await stage()
  upstream.end('bye')
  await rest(app)
  app.resetAndDestroy()
  expect(await outcome).toMatchObject({ ended: 'gone', bytesOut: 3 })
})

/** Writes a byte every few ms until told to stop. */
function keepSending(socket: Socket): () => void {
  const beat = setInterval(() => socket.writable && socket.write('.'), 10)
  onTestFinished(() => clearInterval(beat))
  return () => clearInterval(beat)
}

test('F11: a socket that had closed before ends the tunnel as it begins', async () => {
  const [, caller] = await pair()
  const [up, upstream] = await pair()
  await once(caller.destroy(), 'close')
  expect(await relayTunnel({ caller, upstream: up, ...LONG })).toMatchObject({ ended: 'gone', bytesIn: 0 })
  await closed(upstream.resume())
  const next = await stage({ caller: (await pair())[1] })
  next.up.destroy()
  expect(await next.outcome).toMatchObject({ ended: 'broken', problem: { code: 'upstream-unreachable' } })
})

test('F12: a tunnel is cut when it is idle, and not before', async () => {
  // Long enough for a busy machine to let a byte through.
  const { app, upstream, outcome } = await stage({ idleTimeoutMs: 1_000 })
  const began = performance.now()
  const stop = keepSending(upstream)
  await eventually(() => (performance.now() - began > 1_500 ? true : undefined), 'more time than it may be idle')
  expect(app.closed).toBe(false)
  stop()
  expect(await outcome).toMatchObject({
    ended: 'broken',
    problem: { code: 'tunnel-closed', reason: 'idle for 1000 ms' },
  })
  await expect(rest(app)).rejects.toMatchObject({ code: 'ECONNRESET' })
  await expect(rest(upstream)).rejects.toMatchObject({ code: 'ECONNRESET' })
})

test.each(BOTH_WAYS)('F12: when %s has ended and %s says nothing, it is idle, too', async (one, other) => {
  const scene = await stage({ idleTimeoutMs: 100 })
  scene[one].end()
  await rest(scene[other])
  expect(await scene.outcome).toMatchObject({ ended: 'broken', problem: { reason: 'idle for 100 ms' } })
})

test('F12: idle is when the timers of both sockets have run out with no byte between', async () => {
  const { app, caller, up, upstream, outcome } = await stage()
  caller.emit('timeout')
  await pass('a', app, upstream)
  up.emit('timeout')
  await pass('b', app, upstream)
  caller.emit('timeout')
  up.emit('timeout')
  expect(await outcome).toMatchObject({ ended: 'broken', problem: { code: 'tunnel-closed' }, bytesIn: 2 })
})

test('F12: a caller that has closed does not count, when what it sent is stuck', async () => {
  const { app, caller, up, upstream, outcome } = await stage({ where: 'unix' })
  await fill(app, up)
  app.end()
  upstream.end()
  await rest(app)
  await closed(caller)
  up.emit('timeout')
  expect(await outcome).toMatchObject({ ended: 'broken', problem: { code: 'tunnel-closed' } })
})

/** Sends until the far side, which does not read, takes no more, and the tunnel holds what is left. */
async function fill(from: Socket, out: Socket): Promise<void> {
  const deadline = performance.now() + 20_000
  while (out.writableLength === 0) {
    const all = out.bytesWritten + 32 * 1024
    from.write(Buffer.alloc(32 * 1024))
    while (out.bytesWritten < all) {
      if (performance.now() > deadline) throw new Error(`waited for byte ${all}`)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}

test('F12: a tunnel is cut at its age, however busy', async () => {
  const { app, upstream, outcome } = await stage({ maxMs: 150 })
  keepSending(app)
  keepSending(upstream)
  expect(await outcome).toMatchObject({
    ended: 'broken',
    problem: { code: 'tunnel-closed', reason: 'older than 150 ms' },
  })
})

test.each([2 ** 31, Number.POSITIVE_INFINITY])('a limit of %d ms is not none', async (maxMs) => {
  const { app, upstream, outcome } = await stage({ maxMs })
  for (const text of ['one', 'two', 'three']) await pass(text, app, upstream)
  app.end()
  upstream.end()
  await Promise.all([rest(app), rest(upstream)])
  expect(await outcome).toMatchObject({ ended: 'complete' })
})

const OVER = new Problem('tunnel-closed', { reason: 'grant 3 has ended' })

test('F12: the signal cuts the tunnel with its own reason, and is let go', async () => {
  const controller = new AbortController()
  const { app, upstream, outcome } = await stage({ signal: controller.signal })
  await pass('hello', app, upstream)
  controller.abort(OVER)
  await expect(rest(app)).rejects.toMatchObject({ code: 'ECONNRESET' })
  await expect(rest(upstream)).rejects.toMatchObject({ code: 'ECONNRESET' })
  expect(await outcome).toMatchObject({ ended: 'broken', problem: OVER, bytesIn: 5 })
  expect(getEventListeners(controller.signal, 'abort')).toEqual([])
})

test('a signal that has aborted before lets not a byte through', async () => {
  const { app, upstream, outcome } = await stage({ signal: AbortSignal.abort(OVER) })
  app.write('hello')
  await closed(upstream.resume())
  expect(upstream.bytesRead).toBe(0)
  expect(await outcome).toMatchObject({ ended: 'broken', problem: OVER, bytesIn: 0 })
})

test('neither signal nor timer is held by a tunnel that came to its end', async () => {
  const { signal } = new AbortController()
  const timers = timerCount()
  const { app, upstream, outcome } = await stage({ signal })
  app.end()
  upstream.end()
  await Promise.all([rest(app), rest(upstream), outcome])
  expect(getEventListeners(signal, 'abort')).toEqual([])
  expect(timerCount()).toBeLessThanOrEqual(timers)
})

/** Of those that keep a process alive. */
function timerCount(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
}

test('what is cut while its last bytes wait does not look whole', async () => {
  const controller = new AbortController()
  const { app, up, upstream, outcome } = await stage({ signal: controller.signal })
  await fill(app, up)
  app.end()
  await eventually(() => up.writableEnded || undefined, 'the end to come')
  expect(up.writableLength).toBeGreaterThan(0)
  controller.abort(OVER)
  await outcome
  await expect(rest(upstream)).rejects.toMatchObject({ code: 'ECONNRESET' })
})

test.each(['up', 'caller'] as const)('a tunnel that is cut while %s is shutting down still closes', async (name) => {
  const controller = new AbortController()
  const scene = await stage({ signal: controller.signal })
  const [from, into] = name === 'up' ? [scene.app, scene.caller] : [scene.upstream, scene.up]
  into.once('end', () => controller.abort(OVER))
  from.end()
  expect(await scene.outcome).toMatchObject({ ended: 'broken', problem: OVER })
})

test('Unix sockets, which have no reset, are closed', async () => {
  const { app, caller, up, upstream, outcome } = await stage({ where: 'unix' })
  await pass('hello', app, upstream)
  app.destroy()
  keepSending(upstream)
  await rest(upstream)
  expect(await outcome).toMatchObject({ ended: 'gone', bytesIn: 5, upstreamAddress: undefined })
  expect(up.closed && caller.closed).toBe(true)
})

test('a caller that came over TLS, which has no reset, is closed', async () => {
  const authority = await makeAuthority()
  const [app, raw] = await pair()
  const secured = tlsConnect({ socket: app, servername: 'door.test', ca: authority.certPem })
  const caller = new TLSSocket(raw, { isServer: true, ...(await authority.issue(['door.test'])) })
  await once(secured, 'secureConnect')
  const controller = new AbortController()
  const { upstream, outcome } = await stage({ caller, signal: controller.signal })
  await pass('up', secured, upstream)
  await pass('down', upstream, secured)
  controller.abort(OVER)
  expect(await outcome).toMatchObject({ ended: 'broken', problem: OVER, bytesIn: 2 })
  expect(caller.closed && raw.closed).toBe(true)
})

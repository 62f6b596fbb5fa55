import { once } from 'node:events'
import { createServer as createHttpServer, request } from 'node:http'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { createSecureContext, TLSSocket, connect as tlsConnect } from 'node:tls'
import { expect, onTestFinished, test } from 'vitest'
import { MAX_HELLO_BYTES } from '../../src/wire/client-hello.ts'
import { readFirstFlight } from '../../src/wire/first-flight.ts'
import { makeAuthority } from '../support/certificates.ts'
import { eventually, privateDirectory, remove } from '../support/sallyport.ts'

const NOTHING = Buffer.alloc(0)
const IN_TIME = { timeoutMs: 20_000 }
const authority = await makeAuthority()
const secureContext = createSecureContext(await authority.issue(['api.test']))

/** Both ends of a connection: the one that connected, and the one that was accepted, which nobody reads yet. */
async function pair(where: 'tcp' | 'unix' = 'tcp'): Promise<[Socket, Socket]> {
  const directory = privateDirectory()
  onTestFinished(() => remove(directory))
  const server = createServer({ allowHalfOpen: true })
  server.listen(where === 'tcp' ? { port: 0, host: '127.0.0.1' } : { path: join(directory, 'socket') })
  await once(server, 'listening')
  const address = server.address()
  const connected =
    typeof address === 'string' ? connect(address) : connect({ port: address?.port ?? 0, host: '127.0.0.1' })
  const [opened] = await Promise.all([once(server, 'connection'), once(connected, 'connect')])
  const accepted: Socket = opened[0]
  server.close()
  for (const socket of [connected, accepted]) {
    socket.on('error', () => undefined)
    onTestFinished(() => void socket.destroy())
  }
  return [connected, accepted]
}

/** A TLS client, the hello that it has sent, and the far end of its connection. */
async function client(): Promise<{ client: TLSSocket; hello: Buffer; far: Socket }> {
  const [socket, far] = await pair()
  const ALPNProtocols = ['h2', 'http/1.1']
  const client = tlsConnect({ socket, servername: 'api.test', ca: authority.certPem, ALPNProtocols })
  client.on('error', () => undefined)
  const [hello] = await once(far, 'data')
  return { client, hello, far }
}

/** All that comes to this socket up to its end. */
async function rest(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** The next packet is sent when the one before has arrived. */
async function sendPackets(from: Socket, to: Socket, packets: readonly Buffer[]): Promise<void> {
  for (const packet of packets) {
    const all = to.bytesRead + packet.length
    from.write(packet)
    const deadline = performance.now() + 20_000
    while (to.bytesRead < all) {
      if (performance.now() > deadline) throw new Error(`waited for byte ${all}`)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}

/** The same hello in two records. */
function inTwoRecords(hello: Buffer, at: number): Buffer {
  const parts = [hello.subarray(5, 5 + at), hello.subarray(5 + at)]
  return Buffer.concat(parts.flatMap((part) => [Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part]))
}

function bytesOf(bytes: Buffer): Buffer[] {
  return [...bytes].map((byte) => Buffer.from([byte]))
}

/** Listeners by their event: none of them ours, and none of Node's that were not there before. */
function listeners(socket: Socket): object {
  return Object.fromEntries(socket.eventNames().map((name) => [String(name), socket.listenerCount(name)]))
}

type Deliver = (hello: Buffer) => { readonly head: Buffer; readonly packets: readonly Buffer[] }

const DELIVERIES: readonly (readonly [string, Deliver])[] = [
  ['in one packet', (hello) => ({ head: NOTHING, packets: [hello] })],
  ['wholly behind the CONNECT', (hello) => ({ head: hello, packets: [] })],
  ['partly behind the CONNECT', (hello) => ({ head: hello.subarray(0, 3), packets: [hello.subarray(3)] })],
  ['in packets of one byte', (hello) => ({ head: NOTHING, packets: bytesOf(hello) })],
  ['in two records', (hello) => ({ head: NOTHING, packets: [inTwoRecords(hello, 100)] })],
  [
    'in two records, cut elsewhere into packets',
    (hello) => {
      const records = inTwoRecords(hello, 1)
      return { head: records.subarray(0, 5), packets: [records.subarray(5, 7), records.subarray(7)] }
    },
  ],
]

test.each(DELIVERIES)('a hello %s: a TLS server takes over', async (_how, deliver) => {
  const [app, door] = await pair()
  const { client: tls, hello, far } = await client()
  const { head, packets } = deliver(hello)
  const reading = readFirstFlight(door, head, IN_TIME)
  await sendPackets(app, door, packets)
  expect(await reading).toMatchObject({ kind: 'tls', hello: { serverName: 'api.test', protocols: ['h2', 'http/1.1'] } })
  const secured = new TLSSocket(door, { isServer: true, secureContext, ALPNProtocols: ['http/1.1'] })
  far.pipe(app).pipe(far)
  await once(tls, 'secureConnect')
  expect(tls.alpnProtocol).toBe('http/1.1')
  tls.end('up')
  expect(String(await rest(secured))).toBe('up')
})

test.each(DELIVERIES)('a hello %s: a pipe takes over', async (_how, deliver) => {
  const [app, door] = await pair()
  const { head, packets } = deliver((await client()).hello)
  const reading = readFirstFlight(door, head, IN_TIME)
  await sendPackets(app, door, packets)
  const sent = Buffer.concat([head, ...packets])
  expect(await reading).toMatchObject({ kind: 'tls', bytes: sent.length })
  const [near, far] = await pair()
  door.pipe(near)
  app.end('more')
  expect(await rest(far)).toEqual(Buffer.concat([sent, Buffer.from('more')]))
})

test.each(['tcp', 'unix'] as const)(
  'over %s, bytes that had been buffered before count, early data too',
  async (where) => {
    const [app, door] = await pair(where)
    const { hello } = await client()
    const flight = Buffer.concat([hello, Buffer.from([23, 3, 3, 0, 1, 9])])
    door.read(0)
    await sendPackets(app, door, [flight.subarray(0, 700), flight.subarray(700)])
    expect(await readFirstFlight(door, NOTHING, IN_TIME)).toMatchObject({ kind: 'tls', bytes: flight.length })
    app.end()
    expect(await rest(door)).toEqual(flight)
  },
)

test('a hello and the end behind it, in one packet, is a hello and then the end', async () => {
  const [app, door] = await pair()
  const { hello } = await client()
  app.end(hello)
  expect(await readFirstFlight(door, NOTHING, IN_TIME)).toMatchObject({ kind: 'tls' })
  expect(await rest(door)).toEqual(hello)
})

test('until somebody reads, what follows stays where it is, and pushes back', async () => {
  const [app, door] = await pair()
  const { hello } = await client()
  app.write(hello)
  await readFirstFlight(door, NOTHING, IN_TIME)
  const much = Buffer.alloc(32 * 2 ** 20, 1)
  app.end(much)
  await eventually(() => (door.readableLength > hello.length ? true : undefined), 'more bytes')
  expect(door.readableLength).toBeLessThan(2 ** 20)
  expect(app.writableLength).toBeGreaterThan(0)
  expect(await rest(door)).toHaveLength(hello.length + much.length)
})

test.each([
  ['HTTP', 'GET / HTTP/1.1\r\n\r\n', 'other'],
  ['SSH', 'SSH-2.0-x\r\n', 'other'],
  ['one byte of it', '\x80', 'other'],
  ['a hello that is none', '\x16\x03\x01\x00\x04\x02\x00\x00\x00', 'malformed'],
  ['garbage in a record', `\x16\x03\x01\x40\x00\x01${'\xff'.repeat(100)}`, 'malformed'],
])('D26: %s is given back, and what it is is clear at once', async (_what, text, kind) => {
  const bytes = Buffer.from(text, 'latin1')
  for (const head of [NOTHING, bytes]) {
    const [app, door] = await pair()
    if (head === NOTHING) app.write(bytes)
    expect(await readFirstFlight(door, head, IN_TIME)).toEqual({ kind })
    app.end()
    expect(await rest(door)).toEqual(bytes)
  }
})

test('F13: a hello that would become too large is malformed before it is all there', async () => {
  const [app, door] = await pair()
  app.write(Buffer.concat([Buffer.from([22, 3, 1, 0x40, 0, 1, 0, 0x40, 1]), Buffer.alloc(MAX_HELLO_BYTES)]))
  expect(await readFirstFlight(door, NOTHING, IN_TIME)).toEqual({ kind: 'malformed' })
})

test('an HTTP server takes over, on a socket that another one has given away for a CONNECT', async () => {
  const inner = createHttpServer((asked, answer) => answer.end(`you asked for ${asked.url}`))
  const kinds: string[] = []
  const take = async (socket: Socket, head: Buffer) => {
    socket.on('error', () => undefined).write('HTTP/1.1 200 OK\r\n\r\n')
    const { kind } = await readFirstFlight(socket, head, IN_TIME)
    kinds.push(kind)
    inner.emit('connection', socket)
  }
  const outer = createHttpServer().on('connect', (_request, socket: Socket, head: Buffer) => void take(socket, head))
  outer.listen(0, '127.0.0.1')
  await once(outer, 'listening')
  onTestFinished(() => void outer.close())
  const { port } = outer.address() as AddressInfo // a TCP server has an address of this form
  const asking = request({ port, host: '127.0.0.1', method: 'CONNECT', path: 'api.test:80' }).end()
  const [, tunnel] = await once(asking, 'connect')
  for (const path of ['/one', '/two']) {
    const createConnection = () => tunnel
    const [answer] = await once(
      request({ path, createConnection, headers: { connection: 'keep-alive' } }).end(),
      'response',
    )
    expect(String(await rest(answer))).toBe(`you asked for ${path}`)
  }
  tunnel.destroy()
  expect(kinds).toEqual(['other'])
})

test.each([
  ['nothing', 0],
  ['a hello but for one byte', -1],
])('F13: %s in time is silent, however often a byte comes', async (_what, end) => {
  const [app, door] = await pair()
  const { hello } = await client()
  const before = listeners(door)
  const began = performance.now()
  // As long as a busy machine may take to let every byte through.
  const reading = readFirstFlight(door, NOTHING, { timeoutMs: 3_000 })
  await sendPackets(app, door, bytesOf(hello.subarray(0, end)))
  expect(await reading).toEqual({ kind: 'silent' })
  expect(performance.now() - began).toBeGreaterThan(2_900)
  expect(listeners(door)).toEqual(before)
  app.end()
  expect(await rest(door)).toEqual(hello.subarray(0, end))
})

test.each(['destroy', 'resetAndDestroy', 'end'] as const)(
  'an app that leaves by %s before the end: closed',
  async (leave) => {
    const [app, door] = await pair()
    const before = listeners(door)
    const reading = readFirstFlight(door, Buffer.from([22]), IN_TIME)
    await sendPackets(app, door, [Buffer.from([3, 1])])
    app[leave]()
    expect(await reading).toEqual({ kind: 'closed' })
    expect(Object.keys(listeners(door))).not.toContain('readable')
    if (leave === 'end') expect(listeners(door)).toEqual(before)
  },
)

test('a socket that had ended or closed before is closed, whatever came before', async () => {
  const [app, door] = await pair()
  app.end()
  await once(door.resume(), 'end')
  const head = Buffer.from('SSH-2.0-x\r\n')
  expect(await readFirstFlight(door, head, IN_TIME)).toEqual({ kind: 'closed' })
  door.destroy()
  expect(await readFirstFlight(door, head, IN_TIME)).toEqual({ kind: 'closed' })
  expect(door.errored).toBeNull()
})

test('leaves no listener and no timer behind', async () => {
  const [app, door] = await pair()
  const { hello } = await client()
  const before = listeners(door)
  const timers = process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
  const reading = readFirstFlight(door, NOTHING, { timeoutMs: 600_000 })
  app.write(hello)
  expect(await reading).toMatchObject({ kind: 'tls' })
  expect(listeners(door)).toEqual(before)
  expect(process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length).toBeLessThanOrEqual(timers)
})

import { once } from 'node:events'
import { type AddressInfo, BlockList, connect, createServer, type Socket } from 'node:net'
import {
  createSecureContext,
  createServer as createTlsServer,
  type SecureVersion,
  type TLSSocket,
  type TlsOptions,
} from 'node:tls'
import { Client } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import { Problem, type ProblemCode } from '../../src/core/problem.ts'
import { createDialer, type Destination } from '../../src/wire/dial.ts'
import type { NameResolver } from '../../src/wire/resolve.ts'
import { onlyThese } from '../../src/wire/tcp.ts'
import { type Identity, makeAuthority, makeSelfSigned } from '../support/certificates.ts'
import { ExtendedKeyUsage, makeOddAuthority, type Oddity } from './odd-certificates.ts'

const NOTHING = new BlockList()
const LOOPBACK = ranges(['127.0.0.0', 8])
const authority = await makeAuthority()
const odd = await makeOddAuthority()
const trust = createSecureContext({ ca: [authority.certPem, odd.certPem] })

const E01 = [
  '127.0.0.1',
  '127.1',
  '0x7f.1',
  '0x7f000001',
  '2130706433',
  '017700000001',
  '0177.0.0.1',
  '0',
  '0.0.0.0',
  '127.0.0.1.',
  '①②⑦.⓪.⓪.①',
  '127。0。0。1',
  '127.0.0.1\0.api.test',
  'LOCALHOST',
  'localhost.',
  '',
]
const E02 = [
  '[::1]',
  '[::]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[::127.0.0.1]',
  '[fe80::1%25lo]',
  '[fe80::1%lo]',
  '::1',
]

test.each([...E01, ...E02])(
  'E01, E02: dialling %j is refused without a SYN, whatever a resolver would say',
  async (host) => {
    const { port, accepted } = await listener('::')
    await expectProblem(
      dial({ host, port, tls: 'plaintext', allowPrivate: NOTHING }, ['127.0.0.1']),
      'address-not-allowed',
    )
    expect(accepted()).toBe(0)
  },
)

test.each(['127.1', '0x7f.1', '2130706433', '127。0。0。1', 'LOCALHOST', 'localhost.', '::1'])(
  'E01: "%s" is not even asked about, also where loopback may be dialled',
  async (host) => {
    const { port, accepted } = await listener('::')
    await expectProblem(dial({ host, port, tls: 'plaintext' }), 'address-not-allowed')
    expect(accepted()).toBe(0)
  },
)

test('E04: a name at a private address is refused without a SYN, and dialled where the range is allowed', async () => {
  const { port, accepted } = await listener()
  const to = { host: 'api.test', port, tls: 'plaintext' } as const
  await expectProblem(dial({ ...to, allowPrivate: ranges(['10.0.0.0', 8]) }, ['127.0.0.1']), 'address-not-allowed')
  expect(accepted()).toBe(0)
  const socket = await dial({ ...to, allowPrivate: LOOPBACK }, ['127.0.0.1'])
  expect(socket.remoteAddress).toBe('127.0.0.1')
  expect(accepted()).toBe(1)
})

test.each([[['127.0.0.2', '127.0.0.1']], [['127.0.0.1', '127.0.0.2']]])(
  'E05: of %j only the allowed one is dialled',
  async (addresses) => {
    const forbidden = await listener('127.0.0.1')
    const allowed = await listener('127.0.0.2', forbidden.port)
    const to = {
      host: 'api.test',
      port: allowed.port,
      tls: 'plaintext',
      allowPrivate: ranges(['127.0.0.2', 32]),
    } as const
    const socket = await dial(to, addresses)
    expect(socket.remoteAddress).toBe('127.0.0.2')
    expect([allowed.accepted(), forbidden.accepted()]).toEqual([1, 0])
  },
)

test('E05: when the allowed address does not answer, the other is not tried', async () => {
  const { port, accepted } = await listener('127.0.0.1')
  const to = { host: 'api.test', port, tls: 'plaintext', allowPrivate: ranges(['127.0.0.2', 32]) } as const
  await expectProblem(dial(to, ['127.0.0.2', '127.0.0.1']), 'upstream-unreachable')
  expect(accepted()).toBe(0)
})

test('E08: a private AAAA beside an allowed A is never dialled', async () => {
  const forbidden = await listener('::1')
  const allowed = await listener('127.0.0.1', forbidden.port)
  const socket = await dial({ host: 'api.test', port: allowed.port, tls: 'plaintext' }, ['::1', '127.0.0.1'])
  expect(socket.remoteAddress).toBe('127.0.0.1')
  expect(forbidden.accepted()).toBe(0)
})

test('goes on to the next address when the first refuses', async () => {
  const { port } = await listener('127.0.0.1')
  const socket = await dial({ host: 'api.test', port, tls: 'plaintext' }, ['127.0.0.3', '127.0.0.1'])
  expect(socket.remoteAddress).toBe('127.0.0.1')
})

test('the last line blocks whatever was not vetted, even when Node is told to dial it', async () => {
  const { port, accepted } = await listener('127.0.0.1')
  const socket = connect({ host: '127.0.0.1', port, autoSelectFamily: true, blockList: onlyThese(['127.0.0.2']) })
  const [error] = await once(socket, 'error')
  expect(error).toMatchObject({ code: 'ERR_IP_BLOCKED' })
  expect(accepted()).toBe(0)
})

test('T08: a listener of our own is a loop, without a SYN', async () => {
  const { port, accepted } = await listener()
  const dialer = createDialer({
    resolver: always(['127.0.0.1']),
    isOwnListener: (address, at) => address === '127.0.0.1' && at === port,
  })
  await expectProblem(dialer.dial(destination({ host: 'api.test', port, tls: 'plaintext' })), 'loop-detected')
  expect(accepted()).toBe(0)
})

test('proves the name and speaks TLS 1.2 or later, HTTP/1.1, without delay', async () => {
  const { port } = await tlsUpstream(await authority.issue(['api.test']), { ALPNProtocols: ['h2', 'http/1.1'] })
  const socket = (await dial({ host: 'api.test', port })) as TLSSocket
  expect(socket.authorized).toBe(true)
  expect(socket.alpnProtocol).toBe('http/1.1')
  expect(socket.getProtocol()).toBe('TLSv1.3')
  expect(socket.remoteAddress).toBe('127.0.0.1')
})

test('F03: an address is proved by an address in the certificate, never by a DNS name that looks like it', async () => {
  const good = await tlsUpstream(await authority.issue(['127.0.0.1']))
  const socket = await dial({ host: '127.0.0.1', port: good.port })
  expect(socket.remoteAddress).toBe('127.0.0.1')
  const bad = await tlsUpstream(await odd.issue('127.0.0.1', { names: ['127.0.0.1'] }))
  await expectProblem(dial({ host: '127.0.0.1', port: bad.port }), 'upstream-untrusted')
})

const F01: readonly (readonly [string, () => Promise<Identity>])[] = [
  ['expired', () => authority.issue(['api.test'], { expired: true })],
  ['not yet valid', oddly({ startsInMs: 3_600_000 })],
  ['self-signed', () => makeSelfSigned(['api.test'])],
  ['of an unknown authority', async () => (await makeAuthority('Another')).issue(['api.test'])],
  ['for another name', () => authority.issue(['evil.test'])],
  ['without any name but the common name', oddly({ names: [] })],
  ['for a wildcard one label too short', () => authority.issue(['*.test', '*.api.test', 'test'])],
  ['signed with SHA-1', oddly({ hash: 'SHA-1' })],
  ['for clients', oddly({ usage: ExtendedKeyUsage.clientAuth })],
]

test.each(F01)('F01: a certificate %s is refused before any byte of the application', async (_, issue) => {
  const { port, received } = await tlsUpstream(await issue())
  await expectProblem(dial({ host: 'api.test', port }), 'upstream-untrusted')
  expect(received()).toBe(0)
})

test('F01: NODE_TLS_REJECT_UNAUTHORIZED=0 changes nothing', async () => {
  process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'
  onTestFinished(() => void delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'])
  const { port } = await tlsUpstream(await makeSelfSigned(['api.test']))
  await expectProblem(dial({ host: 'api.test', port }), 'upstream-untrusted')
})

test.each<SecureVersion>(['TLSv1', 'TLSv1.1'])('F02: an upstream that offers only %s is refused', async (version) => {
  const old = { minVersion: version, maxVersion: version, ciphers: 'ALL:@SECLEVEL=0' } as const
  const { port, received } = await tlsUpstream(await authority.issue(['api.test']), old)
  await expectProblem(dial({ host: 'api.test', port }), 'upstream-untrusted')
  const lax = createSecureContext({ ca: authority.certPem, minVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' })
  await expectProblem(dial({ host: 'api.test', port, tls: lax }), 'upstream-untrusted')
  expect(received()).toBe(0)
})

test('F04: what was proved for one name proves nothing for another at the same address', async () => {
  const { port } = await tlsUpstream(await authority.issue(['api.test']))
  const first = (await dial({ host: 'api.test', port })) as TLSSocket
  await once(first, 'session')
  await expectProblem(dial({ host: 'b.test', port }), 'upstream-untrusted')
  const again = (await dial({ host: 'api.test', port })) as TLSSocket
  expect(again.isSessionReused()).toBe(false)
})

test('F16: the longest name there is does not throw', async () => {
  const host = `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(61)}`
  const { port } = await tlsUpstream(await authority.issue(['api.test']))
  await expectProblem(dial({ host, port }), 'upstream-untrusted')
})

test('an upstream that does not speak TLS is untrusted', async () => {
  const { port } = await listener('127.0.0.1', 0, (socket) => socket.write('220 mail.test ESMTP\r\n'))
  await expectProblem(dial({ host: 'api.test', port }), 'upstream-untrusted')
})

test('an upstream that refuses, or breaks off the handshake, is unreachable', async () => {
  const { port } = await listener('127.0.0.1', 0, (socket) => socket.resetAndDestroy())
  await expectProblem(dial({ host: 'api.test', port }), 'upstream-unreachable')
  const closed = await listener()
  await closed.close()
  await expectProblem(dial({ host: 'api.test', port: closed.port, tls: 'plaintext' }), 'upstream-unreachable')
})

test('an upstream that accepts and says nothing is given up at the deadline, and its socket with it', async () => {
  const { port, sockets } = await listener()
  await expectProblem(dial({ host: 'api.test', port, timeoutMs: 100 }), 'upstream-timeout')
  const [socket] = sockets
  if (socket && !socket.closed) await once(socket, 'close')
})

test('a name that is never resolved is given up at the deadline', async () => {
  const slow = createDialer({ resolver: { resolve: () => new Promise(() => {}) } })
  await expectProblem(slow.dial(destination({ host: 'api.test', port: 1, timeoutMs: 50 })), 'upstream-timeout')
})

test('a caller who hangs up ends the dial with the reason it gave', async () => {
  const { port, sockets, arrived } = await listener()
  const hangUp = new AbortController()
  const reason = new Error('gone')
  const dialled = expect(dial({ host: 'api.test', port }, undefined, hangUp.signal)).rejects.toBe(reason)
  await arrived
  hangUp.abort(reason)
  await dialled
  const [socket] = sockets
  if (socket && !socket.closed) await once(socket, 'close')
  await expect(dial({ host: 'api.test', port }, undefined, hangUp.signal)).rejects.toBe(reason)
  expect(sockets).toHaveLength(1)
})

test('reasons name the host and the address, and nothing that the peer sent', async () => {
  const { port } = await tlsUpstream(await authority.issue(['marker-of-the-peer.test']))
  const problem = await dial({ host: 'api.test', port }).catch((error: unknown) => error)
  expect(problem).toBeInstanceOf(Problem)
  expect(problem).toMatchObject({ reason: 'api.test at 127.0.0.1: ERR_TLS_CERT_ALTNAME_INVALID' })
  expect(JSON.stringify(problem) + String((problem as Problem).cause)).not.toContain('marker-of-the-peer')
})

test('undici connects through it, to the destination and not to the origin', async () => {
  const { port } = await tlsUpstream(await authority.issue(['api.test']), {}, (socket) => {
    socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
  })
  const dialer = createDialer({ resolver: always(['127.0.0.1']) })
  const client = new Client('https://other.test', {
    connect: dialer.connector(destination({ host: 'api.test', port })),
  })
  onTestFinished(() => client.destroy())
  const { statusCode, body } = await client.request({ method: 'GET', path: '/' })
  expect([statusCode, await body.text()]).toEqual([200, 'ok'])
})

test('undici gets the Problem of a dial that failed, and nothing is thrown at it', async () => {
  const dialer = createDialer({ resolver: always(['10.0.0.5']) })
  const client = new Client('https://api.test', {
    connect: dialer.connector(destination({ host: 'api.test', port: 443 })),
  })
  onTestFinished(() => client.destroy())
  await expectProblem(client.request({ method: 'GET', path: '/' }), 'address-not-allowed')
})

test('a socket that breaks before anybody listens does not end the process', async () => {
  const { port, sockets } = await listener()
  const socket = await dial({ host: 'api.test', port, tls: 'plaintext' })
  const closed = new Promise((resolve) => void socket.once('close', resolve))
  sockets[0]?.resetAndDestroy()
  await closed
  expect(socket.errored).toMatchObject({ code: 'ECONNRESET' })
})

type Wish = Partial<Destination> & Pick<Destination, 'host' | 'port'>

function dial(
  wish: Wish,
  addresses: readonly string[] = ['127.0.0.1'],
  signal?: AbortSignal,
): Promise<Socket | TLSSocket> {
  return createDialer({ resolver: always(addresses) })
    .dial(destination(wish), signal)
    .then((socket) => {
      onTestFinished(() => void socket.destroy())
      return socket
    })
}

function destination(wish: Wish): Destination {
  return { tls: trust, allowPrivate: LOOPBACK, timeoutMs: 5000, ...wish }
}

function always(addresses: readonly string[]): NameResolver {
  return { resolve: () => Promise.resolve(addresses) }
}

function oddly(oddity: Oddity): () => Promise<Identity> {
  return () => odd.issue('api.test', oddity)
}

function ranges(...rules: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList()
  for (const [address, bits] of rules) list.addSubnet(address, bits)
  return list
}

async function expectProblem(work: Promise<unknown>, code: ProblemCode): Promise<void> {
  await expect(work).rejects.toMatchObject({ name: 'Problem', code })
}

async function listener(host = '127.0.0.1', port = 0, serve: (socket: Socket) => void = () => {}) {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket.on('error', () => {}).resume())
    serve(socket)
  })
  const arrived = once(server, 'connection')
  server.listen({ port, host })
  await once(server, 'listening')
  const close = async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
  onTestFinished(() => close())
  // The server listens on TCP, so it has an AddressInfo.
  return { port: (server.address() as AddressInfo).port, sockets, arrived, close, accepted: () => sockets.length }
}

/** Counts the bytes of the application that reach it. */
async function tlsUpstream(
  identity: Identity,
  options: TlsOptions = {},
  serve: (socket: TLSSocket) => void = () => {},
) {
  let bytes = 0
  const sockets = new Set<Socket>()
  const server = createTlsServer({ ...identity, ...options }, (socket) => {
    socket.on('error', () => {}).on('data', (chunk: Buffer) => (bytes += chunk.length))
    serve(socket)
  })
  server.on('connection', (socket) => sockets.add(socket)).on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return { port: (server.address() as AddressInfo).port, received: () => bytes }
}

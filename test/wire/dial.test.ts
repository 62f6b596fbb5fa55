import { once } from 'node:events'
import { BlockList, connect } from 'node:net'
import { Client } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import { createDialer } from '../../src/wire/dial.ts'
import { onlyThese } from '../../src/wire/tcp.ts'
import { always, authority, destination, dial, expectProblem, listener, ranges, tlsUpstream } from './upstreams.ts'

const NOTHING = new BlockList()
const LOOPBACK = ranges(['127.0.0.0', 8])

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

test.each(['127.0.0.1', '::ffff:127.0.0.1', '::ffff:7f00:1'])(
  'T08: a listener of our own, found at %s, is a loop, without a SYN',
  async (address) => {
    const { port, accepted } = await listener()
    const dialer = createDialer({
      resolver: always([address]),
      isOwnListener: (at, atPort) => at === '127.0.0.1' && atPort === port,
    })
    await expectProblem(dialer.dial(destination({ host: 'api.test', port, tls: 'plaintext' })), 'loop-detected')
    expect(accepted()).toBe(0)
  },
)

test('T08: it knows the connections that begin here, for as long as they are open', async () => {
  const { port } = await listener('127.0.0.1')
  const dialer = createDialer({ resolver: always(['127.0.0.1']) })
  const socket = await dialer.dial(destination({ host: 'api.test', port, tls: 'plaintext' }))
  const at = (place: number) => ({ address: '127.0.0.1', port: place })
  const end = at(socket.localPort ?? 0)
  expect(dialer.isOwnSocket(end, at(port))).toBe(true)
  expect(dialer.isOwnSocket(at(port), end)).toBe(false)
  expect(dialer.isOwnSocket(end, { address: '127.0.0.2', port })).toBe(false)
  expect(createDialer({ resolver: always([]) }).isOwnSocket(end, at(port))).toBe(false)
  socket.destroy()
  await once(socket, 'close')
  expect(dialer.isOwnSocket(end, at(port))).toBe(false)
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

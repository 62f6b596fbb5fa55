import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { Crowd, peerOf } from '../../src/wire/crowd.ts'

/** The near ends of so many connections. */
async function sockets(count: number): Promise<Socket[]> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const all: Socket[] = []
  for (let at = 0; at < count; at++) {
    const client = connect(port, '127.0.0.1')
    const [socket] = await once(server, 'connection')
    onTestFinished(() => {
      client.destroy()
      socket.destroy()
    })
    all.push(socket)
  }
  server.close()
  return all
}

test('whoever holds all there are loses the newest to whoever comes', async () => {
  const [one, two, three, other] = await sockets(4)
  const crowd = new Crowd(3)
  for (const socket of [one, two, three]) if (socket) expect(crowd.admit({ socket, peer: 'greedy' })).toBe('in')
  expect(other && crowd.admit({ socket: other, peer: 'other' })).toBe('in the place of another')
  expect([one, two, three, other].map((socket) => socket?.destroyed)).toEqual([false, false, true, false])
})

test('whoever has most is the one that is turned away, and who holds as many loses nothing', async () => {
  const all = await sockets(6)
  const crowd = new Crowd(4)
  const admit = (peer: string) => crowd.admit({ socket: all.shift() as Socket, peer })
  expect(['a', 'a', 'b', 'b'].map(admit)).toEqual(['in', 'in', 'in', 'in'])
  expect(admit('a')).toBe('full')
  expect(admit('b')).toBe('full')
})

test('many who hold one each are many: the next is turned away', async () => {
  const all = await sockets(4)
  const crowd = new Crowd(3)
  const answers = ['a', 'b', 'c', 'd'].map((peer) => crowd.admit({ socket: all.shift() as Socket, peer }))
  expect(answers).toEqual(['in', 'in', 'in', 'full'])
})

test('a place is free again when its socket is closed', async () => {
  const [one, two] = await sockets(2)
  const crowd = new Crowd(1)
  if (one) crowd.admit({ socket: one, peer: 'a' })
  one?.destroy()
  if (one) await once(one, 'close')
  expect(two && crowd.admit({ socket: two, peer: 'a' })).toBe('in')
})

test.each([
  [{ peer: { uid: 1001, gid: 1, pid: 1 }, address: undefined }, 'uid 1001'],
  [{ peer: undefined, address: undefined }, 'this machine'],
  [{ peer: undefined, address: '127.9.9.9' }, 'this machine'],
  [{ uid: 1001, address: '127.0.0.1' }, 'uid 1001'],
  [{ uid: 0, address: '10.77.0.2' }, 'uid 0'],
  [{ peer: undefined, address: '::1' }, 'this machine'],
  [{ peer: undefined, address: '192.0.2.7' }, '192.0.2.7'],
  [{ peer: undefined, address: '::ffff:192.0.2.7' }, '192.0.2.7'],
])('%j is counted as %s', (line, peer) => {
  expect(peerOf(line)).toBe(peer)
})

test('two addresses of one IPv6 network are one peer', () => {
  const [one, other] = ['2001:db8::1', '2001:db8::2'].map((address) => peerOf({ peer: undefined, address }))
  expect(one).toBe(other)
})

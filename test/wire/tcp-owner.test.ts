import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { canonicalAddress } from '../../src/wire/address.ts'
import { createTcpOwnerReader } from '../../src/wire/tcp-owner.ts'
import { eventually } from '../support/sallyport.ts'

const owners = createTcpOwnerReader()
const OTHER_UID = 1234

/** A server of ours; `accepted` gives its end of each connection. */
async function listening(host: string) {
  const server = createServer({ allowHalfOpen: true }).listen(0, host)
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return { server, port: (server.address() as AddressInfo).port } // of a TCP server
}

/** What the other end of it is to the kernel. */
function ends({ remoteAddress = '', remotePort = 0, localAddress = '', localPort = 0 }: Socket) {
  return [
    { address: canonicalAddress(remoteAddress), port: remotePort },
    { address: canonicalAddress(localAddress), port: localPort },
  ] as const
}

test.each(['127.0.0.1', '::1'])('a socket of this very process, at %s', async (host) => {
  const { server, port } = await listening(host)
  const client = connect(port, host)
  const [socket] = (await once(server, 'connection')) as [Socket]
  expect(owners.read(...ends(socket))).toBe(process.geteuid?.())
  // What has said all that it has to say is still somebody's.
  client.end()
  await once(socket.resume(), 'end')
  expect(owners.read(...ends(socket))).toBe(process.geteuid?.())
  client.destroy()
  socket.destroy()
})

test.skipIf(process.getuid?.() !== 0).each([
  ['127.0.0.1', '127.0.0.1'],
  ['::1', '::1'],
  ['::', '::ffff:127.0.0.1'],
])('a socket of another user, at %s from %s', async (host, from) => {
  const { server, port } = await listening(host)
  const script = `require('node:net').connect(${port}, '${from}').resume()`
  const child = spawn(process.execPath, ['--eval', script], { uid: OTHER_UID, gid: OTHER_UID, cwd: '/' })
  onTestFinished(() => void child.kill())
  const [socket] = (await once(server, 'connection')) as [Socket]
  socket.on('error', () => undefined)
  onTestFinished(() => void socket.destroy())
  expect(owners.read(...ends(socket))).toBe(OTHER_UID)
})

test('what its process has closed is nobody’s, although the kernel still knows it, and says root', async () => {
  const { server, port } = await listening('127.0.0.1')
  const client = connect(port, '127.0.0.1')
  const [socket] = (await once(server, 'connection')) as [Socket]
  onTestFinished(() => void socket.destroy())
  client.destroy()
  await eventually(() => (client.closed ? true : undefined), 'the close')
  expect(owners.read(...ends(socket))).toBeUndefined()
})

test('nor is whoever listens at a port the owner of a connection that is not there', async () => {
  const { port } = await listening('127.0.0.1')
  const near = { address: '127.0.0.1', port }
  expect(owners.read(near, { address: '127.0.0.1', port: 1 })).toBeUndefined()
  expect(owners.read({ address: '192.0.2.1', port: 1 }, near)).toBeUndefined()
})

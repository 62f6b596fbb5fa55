import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { createPeerReader } from '../../src/wire/peer.ts'

const IS_ROOT = process.geteuid?.() === 0

test('names this very process at the other end of a Unix socket', async () => {
  const { path, accepted } = await unixServer()
  onTestFinished(connectTo({ path }))
  const { pid, geteuid, getegid } = process
  expect(createPeerReader().read(await accepted)).toEqual({ pid, uid: geteuid?.(), gid: getegid?.() })
})

test('names another process, with its own uid and gid', async () => {
  const { path, accepted } = await unixServer()
  const ids = IS_ROOT ? { uid: 1234, gid: 5678 } : { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 }
  const script = `require('node:net').connect(${JSON.stringify(path)}).on('error', () => {})`
  const child = spawn(process.execPath, ['--eval', script], { ...ids, cwd: '/', stdio: 'ignore' })
  onTestFinished(() => void child.kill())
  expect(createPeerReader().read(await accepted)).toEqual({ pid: child.pid, ...ids })
})

test('keeps the identity of a process that is gone', async () => {
  const { path, accepted } = await unixServer()
  const script = `const s = require('node:net').connect(${JSON.stringify(path)}, () => process.exit())`
  const child = spawn(process.execPath, ['--eval', script], { stdio: 'ignore' })
  const [socket] = await Promise.all([accepted, once(child, 'exit')])
  expect(createPeerReader().read(socket)).toMatchObject({ pid: child.pid })
})

test('T17: knows nobody at the other end of TCP', async () => {
  const server = createServer()
  const accepted = listening(server, { port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  onTestFinished(connectTo({ host: '127.0.0.1', port: (server.address() as AddressInfo).port }))
  expect(createPeerReader().read(await accepted)).toBeUndefined()
})

test('knows nobody at a socket that is closed', async () => {
  const { path, accepted } = await unixServer()
  onTestFinished(connectTo({ path }))
  const socket = await accepted
  socket.destroy()
  expect(createPeerReader().read(socket)).toBeUndefined()
})

test.each([
  [['--no-experimental-ffi'], /node:ffi/],
  [['--permission', '--allow-fs-read=*'], /--allow-ffi/],
])('says in words what is missing under %j', async (flags, says) => {
  const script = `
    const { createPeerReader } = await import(${JSON.stringify(new URL('../../src/wire/peer.ts', import.meta.url).href)})
    try { createPeerReader() } catch (error) { console.log(error.message) }`
  const args = [...flags, '--no-warnings', '--input-type=module', '--eval', script]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const [message] = await once(child.stdout, 'data')
  expect(String(message)).toMatch(/^unix-peer callers need /)
  expect(String(message)).toMatch(says)
})

async function unixServer(): Promise<{ path: string; accepted: Promise<Socket> }> {
  const directory = mkdtempSync(join(tmpdir(), 'peer-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  chmodSync(directory, 0o755)
  const path = join(directory, 'x.sock')
  const server = createServer({ allowHalfOpen: true })
  const accepted = listening(server, { path, writableAll: true })
  await once(server, 'listening')
  return { path, accepted }
}

/** The first socket that comes in. */
async function listening(server: Server, where: object): Promise<Socket> {
  server.listen(where)
  onTestFinished(() => void server.close())
  const [socket] = await once(server, 'connection')
  onTestFinished(() => void socket.destroy())
  return socket.on('error', () => {})
}

function connectTo(where: { path: string } | { host: string; port: number }): () => void {
  const socket = connect(where).on('error', () => {})
  return () => void socket.destroy()
}

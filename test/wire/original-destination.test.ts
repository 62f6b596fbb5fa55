import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { createOriginalDestinationReader, writtenPlace } from '../../src/wire/original-destination.ts'

// What is redirected, and so root: test/stories/transparent.test.ts.

test.each(['127.0.0.1', '::1'])('of what came to %s by itself it says that end, or nothing', async (host) => {
  const server = createServer().listen(0, host)
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const client = connect(port, host)
  onTestFinished(() => void client.destroy())
  const [socket] = await once(server, 'connection')
  const read = createOriginalDestinationReader().read(socket)
  // Nothing where no rule has made the kernel track connections.
  expect([undefined, { address: host, port }]).toContainEqual(read)
  socket.destroy()
  expect(createOriginalDestinationReader().read(socket)).toBeUndefined()
})

test.each([
  [{ address: '203.0.113.7', port: 443 }, '203.0.113.7:443'],
  [{ address: '2001:db8::7', port: 80 }, '[2001:db8::7]:80'],
])('%j is written %s', (place, text) => {
  expect(writtenPlace(place)).toBe(text)
})

test.each([
  [['--no-experimental-ffi'], /node:ffi/],
  [['--permission', '--allow-fs-read=*'], /--allow-ffi/],
])('says in words what is missing under %j', async (flags, says) => {
  const url = new URL('../../src/wire/original-destination.ts', import.meta.url).href
  const script = `
    const { createOriginalDestinationReader } = await import(${JSON.stringify(url)})
    try { createOriginalDestinationReader() } catch (error) { console.log(error.message) }`
  const args = [...flags, '--no-warnings', '--input-type=module', '--eval', script]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const [message] = await once(child.stdout, 'data')
  expect(String(message)).toMatch(/^transparent doors need /)
  expect(String(message)).toMatch(says)
})

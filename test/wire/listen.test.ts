import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { expect, onTestFinished, test } from 'vitest'
import { type Bound, bind, parseListen } from '../../src/wire/listen.ts'
import { ListenError, type ListenErrorCode } from '../../src/wire/listen-error.ts'

const IS_ROOT = process.geteuid?.() === 0
const SOMEBODY = 1234

test.each([
  ['127.0.0.1:0', { kind: 'tcp', host: '127.0.0.1', port: 0 }],
  ['127.8.9.10:65535', { kind: 'tcp', host: '127.8.9.10', port: 65535 }],
  ['[::1]:8080', { kind: 'tcp', host: '::1', port: 8080 }],
  ['unix:/run/x.sock', { kind: 'unix', path: '/run/x.sock' }],
  ['unix:sockets/x', { kind: 'unix', path: 'sockets/x' }],
])('reads %s', (text, where) => {
  expect(parseListen(text)).toEqual(where)
})

test.each([
  '8080',
  ':8080',
  '127.0.0.1',
  '127.0.0.1:',
  '127.0.0.1:65536',
  '127.0.0.1:080',
  '127.0.0.1:-1',
  '127.1:80',
  'localhost:80',
  '::1:80',
  '[::1]',
  '[::1%lo]:80',
  '[127.0.0.1]:80',
  ' 127.0.0.1:80',
  'http://127.0.0.1:80',
  '',
])('refuses "%s", and says which form to use', (text) => {
  expect(parseListen(text)).toMatch(/^use an address and a port such as/)
})

test.each(['0.0.0.0:80', '192.168.0.1:80', '8.8.8.8:80', '[::]:80', '[fd00::1]:80'])(
  'refuses %s unless told otherwise',
  (text) => {
    expect(parseListen(text)).toMatch(/^use a loopback address such as "127.0.0.1:80"/)
    expect(parseListen(text, { allowNonLoopback: true })).toMatchObject({ kind: 'tcp', port: 80 })
  },
)

test.each([
  'unix:@sallyport',
  'unix:\0sallyport',
  'unix:',
  'unix:/run/',
  `unix:/run/${'x'.repeat(115)}`,
  `unix:/${'d'.repeat(100)}/x`,
])('H11, H13: refuses %j', (text) => {
  expect(parseListen(text)).toMatch(/^use (?:a path of the file system|the path of the socket|a shorter path)/)
})

test.each([
  ['127.0.0.1', /^127\.0\.0\.1:[1-9]\d*$/],
  ['::1', /^\[::1\]:[1-9]\d*$/],
])('says at which port of %s it listens', async (host, written) => {
  const server = newServer()
  const bound = await bind(server, { kind: 'tcp', host, port: 0 })
  expect(bound.address).toMatch(written)
  await bound.release()
  expect(server.listening).toBe(true)
})

test('K12: a port in use is refused, and nothing half-listens', async () => {
  const { address } = await bind(newServer(), { kind: 'tcp', host: '127.0.0.1', port: 0 })
  const second = newServer()
  const port = Number(address.split(':')[1])
  await expectRefusal(bind(second, { kind: 'tcp', host: '127.0.0.1', port }), 'address-in-use', address)
  expect(second.listening).toBe(false)
})

test('K12: an address of another machine is refused', async () => {
  await expectRefusal(
    bind(newServer(), { kind: 'tcp', host: '192.0.2.1', port: 0 }),
    'address-unavailable',
    '192.0.2.1:0',
  )
})

test('K12: a directory where nothing may be created is refused, and nothing half-listens', async () => {
  const server = newServer()
  await expectRefusal(bind(server, { kind: 'unix', path: '/sys/x.sock' }), 'not-permitted', '/sys/x.sock')
  expect(server.listening).toBe(false)
})

test('serves at a path, with mode 0600 and nothing else left in the directory', async () => {
  const path = join(newDirectory(), 'x.sock')
  const bound = await bindAt(path)
  expect(bound.address).toBe(`unix:${path}`)
  expect(modeOf(path)).toBe(0o600)
  expect(readdirSync(join(path, '..'))).toEqual(['x.sock'])
  await expectServed(path)
})

test.each([0o600, 0o660, 0o666, 0o000].map(octal))(
  'H12: a socket of mode $octal has never another, under any umask',
  async ({ mode }) => {
    const directory = newDirectory()
    const watch = await watchModes(directory)
    const umask = process.umask(0)
    onTestFinished(() => void process.umask(umask))
    for (let round = 0; round < 40; round++) {
      const server = newServer()
      const bound = await bind(server, { kind: 'unix', path: join(directory, 'x.sock') }, { mode })
      expect(modeOf(join(directory, 'x.sock'))).toBe(mode)
      await bound.release()
      server.close()
    }
    expect(process.umask()).toBe(0)
    expect(await watch()).toEqual([mode])
  },
)

test('H11: a regular file is refused and left alone', async () => {
  const path = join(newDirectory(), 'x.sock')
  writeFileSync(path, 'precious')
  await expectRefusal(bindAt(path), 'path-occupied', path)
  expect(lstatSync(path).isFile()).toBe(true)
})

test.each(['dangling', 'to a stale socket', 'to a live socket'])(
  'H11: a symbolic link, %s, is refused and never followed',
  async (kind) => {
    const directory = newDirectory()
    const aim = join(directory, 'aim.sock')
    if (kind === 'to a stale socket') await leaveStale(aim)
    if (kind === 'to a live socket') await bindAt(aim)
    symlinkSync(aim, join(directory, 'x.sock'))
    await expectRefusal(bindAt(join(directory, 'x.sock')), 'path-occupied', 'symbolic link')
    expect(existsSync(aim)).toBe(kind !== 'dangling')
  },
)

test('H11: a live socket is refused and goes on serving', async () => {
  const path = join(newDirectory(), 'x.sock')
  await bindAt(path)
  await expectRefusal(bindAt(path), 'socket-in-use', path)
  await expectServed(path)
})

test('H11: the socket of another user is refused, live or stale; our own stale one is replaced', async () => {
  const path = join(newDirectory(), 'x.sock')
  await leaveStale(path)
  if (IS_ROOT) {
    chownSync(path, SOMEBODY, SOMEBODY)
    await expectRefusal(bindAt(path), 'socket-foreign', `uid ${SOMEBODY}`)
    chownSync(path, 0, 0)
  }
  await bindAt(path)
  await expectServed(path)
  expect(readdirSync(join(path, '..'))).toEqual(['x.sock'])
})

test.each([0o777, 0o1777, 0o720, 0o702].map(octal))(
  'H11: a directory of mode $octal, to which others may write, is refused',
  async ({ mode }) => {
    const directory = newDirectory()
    chmodSync(directory, mode)
    await expectRefusal(bindAt(join(directory, 'x.sock')), 'directory-unsafe', directory)
    expect(readdirSync(directory)).toEqual([])
  },
)

test('H11: a directory of another user is refused', async () => {
  const directory = newDirectory()
  if (IS_ROOT) chownSync(directory, SOMEBODY, SOMEBODY)
  else chmodSync(directory, 0o722)
  await expectRefusal(bindAt(join(directory, 'x.sock')), 'directory-unsafe', directory)
})

test('H11: a directory that is missing, or none, is refused', async () => {
  const directory = newDirectory()
  writeFileSync(join(directory, 'file'), '')
  await expectRefusal(bindAt(join(directory, 'gone', 'x.sock')), 'directory-missing', join(directory, 'gone'))
  await expectRefusal(bindAt(join(directory, 'file', 'x.sock')), 'directory-missing', join(directory, 'file'))
})

test('H11: a path of 120 characters is refused in words', async () => {
  const directory = newDirectory()
  const path = join(directory, 'x'.repeat(120 - directory.length - 1))
  await expectRefusal(bindAt(path), 'path-unfit', 'use a shorter path')
})

test('the longest path that the kernel takes is served', async () => {
  const directory = newDirectory()
  const path = join(directory, 'x'.repeat(107 - directory.length - 1))
  await bindAt(path)
  await expectServed(path)
  const deep = join(directory, 'd'.repeat(107 - 13 - directory.length - 1))
  mkdirSync(deep, { mode: 0o700 })
  await bindAt(join(deep, 's'))
  await expectServed(join(deep, 's'))
})

test.each(['nothing', 'a stale socket'])(
  'K12: what somebody puts there at the last moment, in place of %s, is left alone',
  async (before) => {
    const path = join(newDirectory(), 'x.sock')
    if (before === 'a stale socket') await leaveStale(path)
    const server = newServer()
    server.once('listening', () => {
      rmSync(path, { force: true })
      writeFileSync(path, 'precious')
    })
    await expectRefusal(bind(server, { kind: 'unix', path }), 'socket-in-use', path)
    expect(server.listening).toBe(false)
    expect(readFileSync(path, 'utf8')).toBe('precious')
    expect(readdirSync(join(path, '..'))).toEqual(['x.sock'])
  },
)

test.each(['before', 'after'])('K09: release removes our own socket, %s the server is closed', async (when) => {
  const path = join(newDirectory(), 'x.sock')
  const server = newServer()
  const bound = await bind(server, { kind: 'unix', path })
  if (when === 'after') await new Promise((resolve) => server.close(resolve))
  expect(existsSync(path)).toBe(true)
  await bound.release()
  await bound.release()
  expect(existsSync(path)).toBe(false)
})

test('K09: neither release nor close removes a socket that has replaced ours since', async () => {
  const path = join(newDirectory(), 'x.sock')
  const server = newServer()
  const bound = await bind(server, { kind: 'unix', path })
  unlinkSync(path)
  await bindAt(path)
  await bound.release()
  await new Promise((resolve) => server.close(resolve))
  await bound.release()
  await expectServed(path)
})

test('K09: what a killed process leaves behind is replaced', async () => {
  const path = join(newDirectory(), 'x.sock')
  await leaveStale(path)
  expect(lstatSync(path).isSocket()).toBe(true)
  await bindAt(path)
  await expectServed(path)
})

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'listen-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** Greets whoever connects. */
function newServer(): Server {
  const server = createServer((socket) => void socket.on('error', () => {}).end('hello'))
  onTestFinished(() => void server.close())
  return server
}

function bindAt(path: string): Promise<Bound> {
  return bind(newServer(), { kind: 'unix', path })
}

async function expectServed(path: string): Promise<void> {
  const [greeting] = await once(connect({ path }), 'data')
  expect(String(greeting)).toBe('hello')
}

async function expectRefusal(work: Promise<Bound>, code: ListenErrorCode, says: string): Promise<void> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(ListenError)
  expect(error).toMatchObject({ code, message: expect.stringContaining(says) })
}

function octal(mode: number): { mode: number; octal: string } {
  return { mode, octal: mode.toString(8) }
}

function modeOf(path: string): number {
  return lstatSync(path).mode & 0o777
}

/** A socket file that a process listened on until SIGKILL. */
async function leaveStale(path: string): Promise<void> {
  const script = `
    import { createServer } from 'node:net'
    const { bind } = await import(${JSON.stringify(new URL('../../src/wire/listen.ts', import.meta.url).href)})
    await bind(createServer(), { kind: 'unix', path: ${JSON.stringify(path)} })
    console.log('bound')`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  child.kill('SIGKILL')
  await once(child, 'exit')
}

/** Looks at every file of a directory, again and again, from a thread of its own; ends with all the modes that it saw. */
async function watchModes(directory: string): Promise<() => Promise<number[]>> {
  const stop = new Int32Array(new SharedArrayBuffer(4))
  const script = `
    const { lstatSync, readdirSync } = require('node:fs')
    const { parentPort, workerData: { stop, directory } } = require('node:worker_threads')
    const modes = new Set()
    parentPort.postMessage('watching')
    while (Atomics.load(stop, 0) === 0) {
      for (const name of readdirSync(directory)) {
        const found = lstatSync(directory + '/' + name, { throwIfNoEntry: false })
        if (found) modes.add(found.mode & 0o777)
      }
    }
    parentPort.postMessage([...modes])`
  const worker = new Worker(script, { eval: true, workerData: { stop, directory } })
  onTestFinished(() => void worker.terminate())
  await once(worker, 'message')
  return async () => {
    Atomics.store(stop, 0, 1)
    const [modes] = await once(worker, 'message')
    return modes
  }
}

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
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { expect, onTestFinished, test } from 'vitest'
import { type Bound, bind } from '../../src/wire/listen.ts'
import { expectRefusal, newServer } from './doors.ts'

const IS_ROOT = process.geteuid?.() === 0
const SOMEBODY = 1234

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
    for (let round = 0; round < 40 || watch.sightings() < 20; round++) {
      const server = newServer()
      const bound = await bind(server, { kind: 'unix', path: join(directory, 'x.sock') }, { mode })
      expect(modeOf(join(directory, 'x.sock'))).toBe(mode)
      await bound.release()
      server.close()
    }
    expect(process.umask()).toBe(0)
    expect(await watch.end()).toEqual([mode])
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

test('H11: a directory without a parent, or none, is refused', async () => {
  const directory = newDirectory()
  writeFileSync(join(directory, 'file'), '')
  const deep = join(directory, 'gone', 'deeper')
  await expectRefusal(bindAt(join(deep, 'x.sock')), 'directory-missing', deep)
  await expectRefusal(bindAt(join(directory, 'file', 'x.sock')), 'directory-missing', join(directory, 'file'))
  expect(readdirSync(directory)).toEqual(['file'])
})

test('a directory that alone is missing is made, also where everybody may write beside it', async () => {
  const directory = newDirectory()
  chmodSync(directory, 0o777)
  const path = join(directory, 'made', 'x.sock')
  await bindAt(path)
  await expectServed(path)
  expect(statSync(join(directory, 'made')).mode & 0o777).toBe(0o755)
})

test('H11: a link to nowhere is not followed to make a directory', async () => {
  const directory = newDirectory()
  symlinkSync(join(directory, 'elsewhere'), join(directory, 'link'))
  await expectRefusal(bindAt(join(directory, 'link', 'x.sock')), 'directory-missing', join(directory, 'link'))
  expect(readdirSync(directory)).toEqual(['link'])
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

function bindAt(path: string): Promise<Bound> {
  return bind(newServer(), { kind: 'unix', path })
}

async function expectServed(path: string): Promise<void> {
  const [greeting] = await once(connect({ path }), 'data')
  expect(String(greeting)).toBe('hello')
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

/** Looks at every file of a directory, again and again, from a thread of its own; `end` gives all the modes that it saw. */
async function watchModes(directory: string): Promise<{ sightings(): number; end(): Promise<number[]> }> {
  const shared = new Int32Array(new SharedArrayBuffer(8))
  const script = `
    const { lstatSync, readdirSync } = require('node:fs')
    const { parentPort, workerData: { shared, directory } } = require('node:worker_threads')
    const modes = new Set()
    parentPort.postMessage('watching')
    while (Atomics.load(shared, 0) === 0) {
      for (const name of readdirSync(directory)) {
        const found = lstatSync(directory + '/' + name, { throwIfNoEntry: false })
        if (!found) continue
        modes.add(found.mode & 0o777)
        Atomics.add(shared, 1, 1)
      }
    }
    parentPort.postMessage([...modes])`
  const worker = new Worker(script, { eval: true, workerData: { shared, directory } })
  onTestFinished(() => void worker.terminate())
  await once(worker, 'message')
  return {
    sightings: () => Atomics.load(shared, 1),
    async end() {
      Atomics.store(shared, 0, 1)
      const [modes] = await once(worker, 'message')
      return modes
    },
  }
}

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { type OpenSecret, openSecret } from '../../src/secrets/open.ts'
import { SecretReference } from '../../src/secrets/reference.ts'

const IS_ROOT = process.geteuid?.() === 0
const CANARY = 'canary'

test.each([
  ['value', 'value'],
  ['value\n', 'value'],
  ['value\r\n', 'value'],
  ['value\n\n', 'value\n'],
  [' value \n', ' value '],
  ['first line\nsecond line\n', 'first line\nsecond line'],
  ['\ufeffvalue', 'value'],
  ['pässwörd', 'pässwörd'],
  ['x'.repeat(65_536), 'x'.repeat(65_536)],
])('K03: reads %j and cuts off one newline', async (content, value) => {
  const { directory } = setUp(content)
  expect(valueOf(await open(directory))).toBe(value)
})

test('a relative path starts at the directory, an absolute one does not', async () => {
  const { directory, path } = setUp('value')
  expect(valueOf(await open(directory, { file: './crm' }))).toBe('value')
  expect(valueOf(await open('/', { file: path }))).toBe('value')
})

test('a symbolic link within the directory is followed', async () => {
  const { directory } = setUp('value')
  symlinkSync('crm', join(directory, 'link'))
  expect(valueOf(await open(directory, { file: 'link' }))).toBe('value')
})

const K03: readonly (readonly [string, (path: string) => void, RegExp])[] = [
  ['is missing', unlinkSync, /does not exist: create it/],
  ['is empty', (path) => truncateSync(path), /is empty/],
  ['holds nothing but a newline', (path) => writeFileSync(path, '\n'), /is empty/],
  ['is a directory', (path) => replace(path, () => mkdirSync(path)), /is a directory: name a file in it/],
  ['is a FIFO', (path) => replace(path, () => execFileSync('mkfifo', [path])), /is no regular file/],
  ['is a symbolic link out of its directory', (path) => linkOut(path), /is a symbolic link out of its directory/],
  ['is a symbolic link to nowhere', (path) => replace(path, () => symlinkSync('gone', path)), /does not exist/],
  ['may be read by the group', (path) => chmodSync(path, 0o640), /is open to other users: chmod 600/],
  ['may be read by everybody', (path) => chmodSync(path, 0o604), /is open to other users: chmod 600/],
  ['may be written by everybody', (path) => chmodSync(path, 0o602), /is open to other users: chmod 600/],
  ['has 64 KiB and a byte', (path) => writeFileSync(path, CANARY.padEnd(65_537)), /has more than 65536 bytes/],
  ['has 10 MB', (path) => writeFileSync(path, Buffer.alloc(1e7, CANARY)), /has more than 65536 bytes/],
  ['has a zero byte', (path) => writeFileSync(path, `${CANARY}\0`), /has a zero byte/],
  ['is not UTF-8', (path) => appendFileSync(path, Buffer.from([0xff])), /is not UTF-8/],
]

test.each(K03)('K03: refuses a file that %s, with its path only', async (_, spoil, says) => {
  const { directory, path } = setUp(CANARY)
  spoil(path)
  const message = await refusalOf(directory)
  expect(message).toMatch(says)
  expect(message.startsWith(path)).toBe(true)
  expect(message).not.toContain(CANARY)
})

test('K03: refuses a file of another user', async () => {
  const { directory, path } = setUp(CANARY)
  // Only root can give a file away; for anybody else a file of root's with mode 0644 is refused for its mode.
  if (IS_ROOT) chownSync(path, 1234, 1234)
  const message = IS_ROOT ? await refusalOf(directory) : await refusalOf('/etc', 'passwd')
  expect(message).toMatch(IS_ROOT ? /belongs to uid 1234: chown it/ : /is open to other users/)
})

test('a Kubernetes mount may be readable by others', async () => {
  const mount = setUpMount('value')
  expect(valueOf(await open(mount.directory))).toBe('value')
})

test('a Kubernetes mount may not be writable by others', async () => {
  const mount = setUpMount('value', 0o666)
  expect(await refusalOf(mount.directory)).toMatch(/is open to other users/)
})

test('a file beside "..data" is not excused by it', async () => {
  const { directory, path } = setUp(CANARY)
  mkdirSync(join(directory, '..1'))
  symlinkSync('..1', join(directory, '..data'))
  chmodSync(path, 0o644)
  expect(await refusalOf(directory)).toMatch(/is open to other users/)
})

const K10: readonly (readonly [string, (path: string, value: string) => void])[] = [
  ['by atomic rename', renameOver],
  ['in place', (path, value) => writeFileSync(path, value)],
  ['in place, at the same length', (path) => writeFileSync(path, 'eulav')],
  ['by removal and new creation', (path, value) => replace(path, () => writeFileSync(path, value, { mode: 0o600 }))],
]

test.each(K10)('K10: notices a change %s', async (_, change) => {
  const { directory, path } = setUp('value')
  const secret = await open(directory)
  change(path, 'eulav')
  await changed(secret)
  expect(valueOf(secret)).toBe('eulav')
  expect(secret.current().version).toBe(2)
})

test('K10: notices a swap of the Kubernetes "..data" link, again and again', async () => {
  const mount = setUpMount('value 0')
  const secret = await open(mount.directory)
  for (const generation of [1, 2, 3]) {
    mount.swap(`value ${generation}`)
    await changed(secret)
    expect(valueOf(secret)).toBe(`value ${generation}`)
  }
  expect(secret.current().version).toBe(4)
})

test('K10: a file is never taken while it is being written', async () => {
  const { directory, path } = setUp('a'.repeat(100))
  const secret = await open(directory)
  const seen = new Set([valueOf(secret)])
  secret.onChange(() => seen.add(valueOf(secret)))
  for (let round = 0; round < 300; round++) {
    const half = (round % 2 ? 'a' : 'b').repeat(50)
    writeFileSync(path, half)
    await nextTurn()
    appendFileSync(path, half)
    await nextTurn()
  }
  renameOver(path, 'last')
  while (valueOf(secret) !== 'last') await changed(secret)
  expect([...seen].filter((value) => value.length === 50 || value === '')).toEqual([])
})

test('K10: with the usual interval a new value is in use within 5 seconds', async () => {
  const { directory, path } = setUp('old')
  const secret = await open(directory, { pollMs: undefined })
  const began = performance.now()
  renameOver(path, 'new')
  await changed(secret)
  expect(performance.now() - began).toBeLessThan(5000)
})

test('the same content in a new file is no change', async () => {
  const { directory, path } = setUp('value')
  const secret = await open(directory)
  let changes = 0
  secret.onChange(() => changes++)
  renameOver(path, 'value\n')
  await settled(directory)
  renameOver(path, 'other')
  await changed(secret)
  expect([changes, secret.current().version]).toEqual([1, 2])
})

test.each(K03.filter(([name]) => name !== 'is a directory'))(
  'a file that %s later keeps the old value, is reported once, and is taken again when it is good',
  async (_, spoil, says) => {
    const { directory, path } = setUp('old')
    const faults: string[] = []
    const heard = Promise.withResolvers<void>()
    const onFault = (message: string) => {
      faults.push(message)
      heard.resolve()
    }
    const secret = await open(directory, { onFault })
    spoil(path)
    await heard.promise
    expect(valueOf(secret)).toBe('old')
    await settled(directory)
    expect(faults).toHaveLength(1)
    expect(faults[0]).toMatch(says)
    expect(faults[0]).toMatch(/The secret read before stays in use$/)
    expect(faults[0]).not.toContain(CANARY)
    renameOver(path, 'new')
    await changed(secret)
    expect(valueOf(secret)).toBe('new')
  },
)

test('a listener that throws keeps nobody else from being told', async () => {
  const { directory, path } = setUp('old')
  const faults: string[] = []
  const secret = await open(directory, { onFault: (message) => faults.push(message) })
  secret.onChange(() => {
    throw new Error(CANARY)
  })
  renameOver(path, 'new')
  await changed(secret)
  expect(faults).toEqual([expect.stringContaining('somebody who was to be told failed')])
  expect(faults[0]).not.toContain(CANARY)
})

test('once closed, it gives the last value and looks no more', async () => {
  const { directory, path } = setUp('old')
  const closed = await open(directory)
  const other = await open(directory)
  closed.onChange(() => expect.unreachable())
  closed.close()
  closed.close()
  renameOver(path, 'new')
  await changed(other)
  await settled(directory)
  expect([valueOf(closed), valueOf(other)]).toEqual(['old', 'new'])
})

test('an open secret does not keep the process alive', async () => {
  const { directory } = setUp('value')
  const module = JSON.stringify(new URL('../../src/secrets/file.ts', import.meta.url).href)
  const script = `const { file } = await import(${module}); await file.open({ file: 'crm' }, { directory: ${JSON.stringify(directory)} })`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: 'inherit' })
  expect(await once(child, 'exit')).toEqual([0, null])
})

interface Wish {
  readonly file?: string
  readonly pollMs?: number | undefined
  readonly onFault?: (message: string) => void
}

/** Polled every 5 ms unless told otherwise. */
async function open(directory: string, { file = 'crm', ...base }: Wish = {}): Promise<OpenSecret> {
  const secret = await openSecret(new SecretReference({ file }), { directory, pollMs: 5, ...base })
  onTestFinished(() => secret.close())
  return secret
}

async function refusalOf(directory: string, file = 'crm'): Promise<string> {
  return open(directory, { file }).then(
    () => 'not refused',
    (error: Error) => error.message,
  )
}

function valueOf(secret: OpenSecret): string {
  return secret.current().secret.reveal()
}

function changed(secret: OpenSecret): Promise<void> {
  return new Promise((resolve) => secret.onChange(resolve))
}

/** After another secret of the directory has been through a change and a half: whoever polls as often has looked twice. */
async function settled(directory: string): Promise<void> {
  const path = join(directory, 'witness')
  writeFileSync(path, 'one', { mode: 0o600 })
  const witness = await open(directory, { file: 'witness' })
  for (const value of ['two', 'three']) {
    renameOver(path, value)
    await changed(witness)
  }
  witness.close()
}

function setUp(content: string): { directory: string; path: string } {
  const directory = mkdtempSync(join(tmpdir(), 'secret-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const path = join(directory, 'crm')
  writeFileSync(path, content, { mode: 0o600 })
  return { directory, path }
}

/** As kubelet's AtomicWriter lays a mount out. */
function setUpMount(content: string, mode = 0o644): { directory: string; swap(value: string): void } {
  const directory = mkdtempSync(join(tmpdir(), 'mount-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const data = join(directory, '..data')
  let generation = 0
  const swap = (value: string) => {
    const name = `..2026_${++generation}`
    const old = existsSync(data) ? readlinkSync(data) : undefined
    mkdirSync(join(directory, name))
    writeFileSync(join(directory, name, 'crm'), value)
    chmodSync(join(directory, name, 'crm'), mode)
    symlinkSync(name, `${data}_tmp`)
    renameSync(`${data}_tmp`, data)
    if (old !== undefined) rmSync(join(directory, old), { recursive: true })
  }
  swap(content)
  symlinkSync('..data/crm', join(directory, 'crm'))
  return { directory, swap }
}

function renameOver(path: string, value: string): void {
  writeFileSync(`${path}.new`, value, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}

function replace(path: string, create: () => void): void {
  unlinkSync(path)
  create()
}

function linkOut(path: string): void {
  const { path: outside } = setUp(CANARY)
  replace(path, () => symlinkSync(outside, path))
}

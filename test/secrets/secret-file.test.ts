import { chmodSync, chownSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { CANARY, K03, open, setUp, setUpMount, valueOf } from './places.ts'

const IS_ROOT = process.geteuid?.() === 0

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
  expect(message).toMatch(
    IS_ROOT ? /belongs to uid 1234: chown it to uid 0,/ : /is open to other users: chown it to uid/,
  )
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

async function refusalOf(directory: string, file = 'crm'): Promise<string> {
  return open(directory, { file }).then(
    () => 'not refused',
    (error: Error) => error.message,
  )
}

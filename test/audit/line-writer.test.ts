import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { LineWriter } from '../../src/audit/line-writer.ts'
import { eventually } from '../support/sallyport.ts'

const directory = mkdtempSync(join(tmpdir(), 'sallyport-audit-'))
afterAll(() => rmSync(directory, { recursive: true }))

test('writes every line once and in order, also those of the last moment', () => {
  const file = join(directory, 'all')
  const writer = new LineWriter({ file, onFault: () => undefined })
  const lines = Array.from({ length: 20_000 }, (_, index) => `${JSON.stringify({ index })}\n`)
  for (const line of lines) writer.write(line)
  writer.close()
  expect(readFileSync(file, 'utf8')).toBe(lines.join(''))
  expect(statSync(file).mode & 0o777).toBe(0o600)
})

test('a single line does not wait for others', async () => {
  const file = join(directory, 'single')
  const writer = new LineWriter({ file, onFault: () => undefined })
  writer.write('one\n')
  expect(await eventually(() => readFileSync(file, 'utf8') || undefined, 'the line')).toBe('one\n')
  writer.close()
})

test('appends to what is there', () => {
  const file = join(directory, 'again')
  for (const line of ['one\n', 'two\n']) {
    const writer = new LineWriter({ file, onFault: () => undefined })
    writer.write(line)
    writer.close()
  }
  expect(readFileSync(file, 'utf8')).toBe('one\ntwo\n')
})

test('I13: a disk that is full is told once, ends nothing, and the lines wait', () => {
  const faults: string[] = []
  // The kernel's own full disk.
  const writer = new LineWriter({ file: '/dev/full', onFault: (reason) => faults.push(reason) })
  for (let index = 0; index < 3; index++) {
    writer.write('a line\n')
    writer.flush()
  }
  writer.close()
  expect(faults).toEqual([expect.stringContaining('ENOSPC')])
})

test('what comes after the end goes nowhere: the number of its file may be that of another by then', () => {
  const writer = new LineWriter({ file: join(directory, 'closed'), onFault: () => undefined })
  writer.close()
  const other = join(directory, 'other')
  const taken = Array.from({ length: 8 }, () => openSync(other, 'a'))
  writer.write('late\n')
  writer.flush()
  writer.close()
  expect(readFileSync(other, 'utf8')).toBe('')
  for (const fd of taken) closeSync(fd)
})

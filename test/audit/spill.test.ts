import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { Spill } from '../../src/audit/spill.ts'

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sallyport-spill-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
})

function open(maxBytes = 1024 ** 2, name = 'store'): Spill {
  return new Spill({ directory, name, maxBytes, onFault: (reason) => expect.unreachable(reason) })
}

/** All that can be read, in order. */
function readAll(spill: Spill): string {
  let all = ''
  for (let text = spill.read(); text !== ''; text = spill.read()) all += text
  return all
}

function linesFrom(first: number, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `line ${first + index} ${'ü'.repeat(40)}\n`)
}

test('gives back what was put in, in order, in files that nobody else can read', () => {
  const spill = open()
  const lines = linesFrom(0, 5_000)
  for (const line of lines) spill.append(line, false)
  expect(readAll(spill)).toBe(lines.join(''))
  const files = readdirSync(directory)
  expect(files.length).toBeGreaterThan(3)
  for (const file of files) expect(statSync(join(directory, file)).mode & 0o777).toBe(0o600)
  spill.close()
})

test('a file is gone once all of it has been delivered', () => {
  const spill = open()
  const lines = linesFrom(0, 5_000)
  const bytes = lines.map((line) => spill.append(line, false))
  readAll(spill)
  const before = readdirSync(directory).length
  spill.delivered(bytes.slice(0, 2_500).reduce((sum, one) => sum + one, 0))
  expect(readdirSync(directory).length).toBeLessThan(before)
  spill.delivered(bytes.slice(2_500).reduce((sum, one) => sum + one, 0))
  spill.close()
  expect(readdirSync(directory)).toEqual([])
})

test('what keeps up needs no more than one small file, however much goes through', () => {
  const spill = open()
  for (let round = 0; round < 100; round++) {
    const bytes = linesFrom(round, 200).map((line) => spill.append(line, true))
    spill.delivered(bytes.reduce((sum, one) => sum + one, 0))
  }
  expect(spill.bytes).toBeLessThan(100_000)
  expect(readdirSync(directory)).toHaveLength(1)
  spill.close()
})

test('what was left is there at the next start, before what comes then', () => {
  const first = open()
  for (const line of linesFrom(0, 3_000)) first.append(line, false)
  first.close()
  const second = open()
  expect(second.hasUnread).toBe(true)
  for (const line of linesFrom(3_000, 10)) second.append(line, false)
  expect(readAll(second)).toBe(linesFrom(0, 3_010).join(''))
  second.close()
})

test('a last line that a crash has cut short is cut off', () => {
  writeFileSync(join(directory, `store.1700000000000.${process.pid}.000000.jsonl`), 'whole\nnot who', { mode: 0o600 })
  const spill = open()
  expect(readAll(spill)).toBe('whole\n')
  spill.close()
})

test('the lines of a process that runs, and of another sink, are left to them', () => {
  const parent = join(directory, `store.1700000000000.${process.ppid}.000000.jsonl`)
  const other = join(directory, `otlp.1700000000000.${process.pid}.000000.jsonl`)
  for (const file of [parent, other]) writeFileSync(file, 'theirs\n', { mode: 0o600 })
  const spill = open()
  expect(spill.hasUnread).toBe(false)
  spill.close()
  for (const file of [parent, other]) expect(readFileSync(file, 'utf8')).toBe('theirs\n')
})

test('is full at its bound, and not any more when something was delivered', () => {
  const spill = open(64 * 1024)
  let bytes = 0
  while (!spill.isFull) bytes += spill.append(`${'a'.repeat(999)}\n`, true)
  expect(bytes).toBe(66_000)
  spill.delivered(bytes)
  expect(spill.isFull).toBe(false)
  spill.close()
})

test('a file that somebody took away is passed over', () => {
  const spill = open()
  for (const line of linesFrom(0, 3_000)) spill.append(line, false)
  const [first = ''] = readdirSync(directory).sort()
  rmSync(join(directory, first))
  const text = readAll(spill)
  expect(text).toMatch(/^line [1-9]/)
  expect(text.endsWith(linesFrom(2_999, 1).join(''))).toBe(true)
  spill.delivered(Buffer.byteLength(text))
  spill.close()
  expect(readdirSync(directory)).toEqual([])
})

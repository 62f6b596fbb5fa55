import { mkdtempSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { jsonLines } from '../../src/audit/json-lines.ts'
import type { SinkTools } from '../../src/audit/sink.ts'
import { linesOf, makeChain, makeSinkTools } from '../support/audit.ts'
import { eventually } from '../support/sallyport.ts'

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sallyport-json-lines-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
})

function open(changes: Partial<SinkTools> = {}) {
  const told = makeSinkTools({ directory, ...changes })
  return { sink: jsonLines.build({ kind: 'json-lines', path: 'audit.jsonl' }, told.tools), ...told }
}

function fileNamed(name: string): string {
  return join(directory, name)
}

function textOf(lines: readonly { readonly line: string }[]): string {
  return lines.map(({ line }) => `${line}\n`).join('')
}

/** The kernel's own full disk, in the place of the file. */
function fillDisk(): void {
  symlinkSync('/dev/full', fileNamed('audit.jsonl'))
}

/** Room, in the place of the full disk. */
function makeRoom(): void {
  symlinkSync(fileNamed('real'), fileNamed('new'))
  renameSync(fileNamed('new'), fileNamed('audit.jsonl'))
}

test('a line is on the disk before the next turn ends, so a kill does not cost it', async () => {
  const { sink } = open()
  const lines = linesOf(makeChain(), 3)
  for (const line of lines) sink.write(line)
  await new Promise((done) => setImmediate(() => setImmediate(done)))
  expect(readFileSync(fileNamed('audit.jsonl'), 'utf8')).toBe(textOf(lines))
  expect(statSync(fileNamed('audit.jsonl')).mode & 0o777).toBe(0o600)
  await sink.close()
})

test('I13: on a full disk it is full at once, keeps every line, and goes on by itself', async () => {
  fillDisk()
  const { sink, faults, dropped } = open()
  const lines = linesOf(makeChain(), 5_000)
  for (const line of lines) sink.write(line)
  expect(sink.isFull()).toBe(true)
  expect(sink.waitingBytes()).toBeGreaterThan(3_000_000)
  makeRoom()
  await eventually(() => (sink.isFull() ? undefined : true), 'room')
  await sink.close()
  expect(readFileSync(fileNamed('real'), 'utf8')).toBe(textOf(lines))
  expect(dropped()).toBe(0)
  expect(faults).toEqual([expect.stringContaining('ENOSPC')])
})

test('where lines may be dropped, those beyond 16 MiB are: counted, and told when it goes on', async () => {
  fillDisk()
  const { sink, dropped, gaps } = open({ whenFull: 'drop' })
  const chain = makeChain()
  while (dropped() < 10) for (const line of linesOf(chain, 1)) sink.write(line)
  const { run, seq } = chain.head
  expect(sink.waitingBytes()).toBeLessThan(16.1 * 1024 ** 2)
  makeRoom()
  await eventually(() => (sink.isFull() ? undefined : true), 'room')
  for (const line of linesOf(chain, 1)) sink.write(line)
  expect(gaps).toEqual([{ run, from: seq - 9, to: seq }])
  await sink.close()
  expect(readFileSync(fileNamed('real'), 'utf8').split('\n')).toHaveLength(seq - 10 + 1 + 1)
})

test('SIGHUP has it open the file anew at once', async () => {
  const { sink } = open()
  const [one, two] = linesOf(makeChain(), 2)
  if (one) sink.write(one)
  renameSync(fileNamed('audit.jsonl'), fileNamed('audit.jsonl.1'))
  process.emit('SIGHUP')
  if (two) sink.write(two)
  await sink.close()
  expect(readFileSync(fileNamed('audit.jsonl.1'), 'utf8')).toBe(`${one?.line}\n`)
  expect(readFileSync(fileNamed('audit.jsonl'), 'utf8')).toBe(`${two?.line}\n`)
})

test('knows the last line of an instance, among those of others and behind one that was cut short', async () => {
  const lines = linesOf(makeChain('host-1'), 3)
  const others = linesOf(makeChain('host-2'), 3)
  writeFileSync(fileNamed('audit.jsonl'), `${textOf([...lines, ...others])}{"msg":"ask","ti`, { mode: 0o600 })
  const { sink } = open()
  const { run, seq, hash } = lines[2] ?? {}
  expect(await sink.latest('host-1')).toEqual({ run, seq, hash })
  expect(await sink.latest('host-3')).toBeUndefined()
  const [next] = linesOf(makeChain('host-3'), 1)
  if (next) sink.write(next)
  await sink.close()
  // The line of before does not swallow ours.
  expect(readFileSync(fileNamed('audit.jsonl'), 'utf8').split('\n').at(-2)).toBe(next?.line)
})

test('looks into what log rotation has left where the file is new', async () => {
  const [old, recent] = [linesOf(makeChain(), 1), linesOf(makeChain(), 2)]
  writeFileSync(fileNamed('audit.jsonl.2'), textOf(old))
  writeFileSync(fileNamed('audit.jsonl.1'), textOf(recent))
  writeFileSync(fileNamed('audit.jsonl.1.gz'), 'not read')
  const { sink } = open()
  expect(await sink.latest('host-1')).toMatchObject({ seq: 2, hash: recent[1]?.hash })
  await sink.close()
})

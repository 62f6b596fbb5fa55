import { closeSync, fstatSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { AuditHead } from '../core/audit-line.ts'
import { readLine } from './read-line.ts'

/** How far back the last line of an instance is looked for, where several write to one file. */
const LOOK_BYTES = 4 * 1024 * 1024

/**
 * The last line of an instance in a file of lines, or in what log rotation has made of that file, newest first; undefined
 * when there is none. A line that was cut short is none.
 * @throws the error of the file system
 */
export function lastLineOf(instance: string, file: string): AuditHead | undefined {
  for (const path of [file, ...rotatedFrom(file)]) {
    const found = lastLineIn(path, instance)
    if (found) return found
  }
  return undefined
}

/** `audit.jsonl.1` or `audit.jsonl-20270102`; what is compressed is not read. */
function rotatedFrom(file: string): string[] {
  const name = basename(file)
  return readdirSync(dirname(file))
    .filter((other) => /^[.-][0-9-]+$/.test(other.startsWith(name) ? other.slice(name.length) : ''))
    .map((other) => join(dirname(file), other))
    .sort((one, other) => statSync(other).mtimeMs - statSync(one).mtimeMs)
    .slice(0, 2)
}

/** The same in this file alone. */
export function lastLineIn(path: string, instance: string): AuditHead | undefined {
  const lines = tailOf(path).split('\n')
  for (const line of lines.toReversed()) {
    const read = readLine(line)
    if (read?.instance === instance) return { run: read.run, seq: read.seq, hash: read.hash }
  }
  return undefined
}

function tailOf(path: string): string {
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return ''
  const fd = openSync(path, 'r')
  try {
    const { size } = fstatSync(fd)
    const tail = Buffer.alloc(Math.min(size, LOOK_BYTES))
    return tail.toString('utf8', 0, readSync(fd, tail, 0, tail.length, size - tail.length))
  } finally {
    closeSync(fd)
  }
}

/** Whichever was written later. Runs are named by when they began, so the greater name is the later one. */
export function laterOf(one: AuditHead | undefined, other: AuditHead | undefined): AuditHead | undefined {
  if (!one || !other) return one ?? other
  const isLater = one.run === other.run ? one.seq > other.seq : one.run > other.run
  return isLater ? one : other
}

import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  statSync,
  truncateSync,
  unlinkSync,
} from 'node:fs'
import { join } from 'node:path'
import type { AuditHead } from '../core/audit-line.ts'
import { lastLineIn } from './last-line.ts'
import { LineWriter } from './line-writer.ts'

interface Options {
  /** Made with mode 0700 when it is not there. */
  readonly directory: string
  /** Whose lines: the first part of the names of the files. */
  readonly name: string
  readonly maxBytes: number
  onFault(reason: string): void
}

/** One file. `bytes`: all that was appended to it. */
interface Segment {
  readonly path: string
  bytes: number
}

const READ_BYTES = 128 * 1024
/** The file in use is emptied once this much of it has been delivered, and nothing is left. */
const RESET_BYTES = 64 * 1024

/**
 * Lines that wait on the disk, first in, first out: files of mode 0600 which are removed when all in them has been
 * delivered. It survives the end of the process, however that comes: what was left is read at the next start, and what
 * had been delivered of the last file is then delivered again. The name of a file has the pid of its owner, so that the
 * lines of a process that still runs are left to it.
 */
export class Spill {
  readonly #options: Options
  readonly #segmentBytes: number
  readonly #segments: Segment[]
  #writer: LineWriter | undefined
  #bytes: number
  /** How much of the first segment has been delivered. */
  #delivered = 0
  /** Where reading goes on. */
  #reading = { segment: 0, offset: 0 }
  #count = 0

  /** @throws the error of the file system, when the directory cannot be used */
  constructor(options: Options) {
    this.#options = options
    this.#segmentBytes = Math.min(Math.max(options.maxBytes / 16, 64 * 1024), 4 * 1024 * 1024)
    mkdirSync(options.directory, { recursive: true, mode: 0o700 })
    this.#segments = leftIn(options).map((path) => ({ path, bytes: wholeLinesOf(path) }))
    this.#bytes = this.#segments.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  get maxBytes(): number {
    return this.#options.maxBytes
  }

  /** Bytes that are on the disk. */
  get bytes(): number {
    return this.#bytes
  }

  /** Those of them that have not been delivered. */
  get waitingBytes(): number {
    return this.#bytes - this.#delivered
  }

  get isFull(): boolean {
    return this.#bytes >= this.maxBytes || this.#writer?.isFailing === true
  }

  /** What could not even be written here; it is in memory. */
  get unwrittenBytes(): number {
    return this.#writer?.isFailing ? this.#writer.bytes : 0
  }

  /** Whether there is more than has been read, or passed over. */
  get hasUnread(): boolean {
    const { segment, offset } = this.#reading
    return this.#segments.slice(segment).some(({ bytes }, index) => bytes > (index === 0 ? offset : 0))
  }

  /** `line` ends with its line feed. `isHeld`: the caller keeps it too, and will not read it. Returns its length in bytes. */
  append(line: string, isHeld: boolean): number {
    const segment = this.#current()
    const bytes = Buffer.byteLength(line)
    this.#writer?.write(line)
    segment.bytes += bytes
    this.#bytes += bytes
    if (isHeld) this.#reading = { segment: this.#segments.length - 1, offset: segment.bytes }
    return bytes
  }

  #current(): Segment {
    const last = this.#segments.at(-1)
    if (last && this.#writer && (last.bytes < this.#segmentBytes || this.#writer.isFailing)) return last
    this.#writer?.close()
    const { directory, name, onFault } = this.#options
    const place = [name, Date.now(), process.pid, String(this.#count++).padStart(6, '0')]
    const segment = { path: join(directory, `${place.join('.')}.jsonl`), bytes: 0 }
    this.#writer = new LineWriter({ file: segment.path, onFault })
    this.#segments.push(segment)
    return segment
  }

  /** The last line of an instance that waits here. */
  last(instance: string): AuditHead | undefined {
    this.#writer?.flush()
    const paths = this.#segments.map(({ path }) => path).toReversed()
    return paths.reduce<AuditHead | undefined>((found, path) => found ?? lastLineIn(path, instance), undefined)
  }

  /** The next lines in order, with their line feeds; some, not all of them. Empty when there are none. */
  read(): string {
    this.#writer?.flush()
    for (;;) {
      const { segment, offset } = this.#reading
      const file = this.#segments[segment]
      if (!file) return ''
      const text = file.bytes > offset ? linesFrom(file.path, offset) : ''
      this.#reading = { segment, offset: offset + Buffer.byteLength(text) }
      if (text !== '' || segment === this.#segments.length - 1) return text
      this.#reading = { segment: segment + 1, offset: 0 }
      // None but what somebody has taken away: whoever reads has nothing left of what came before.
      this.delivered(file.bytes - offset)
    }
  }

  /** So many bytes at the front have arrived where they belong. */
  delivered(bytes: number): void {
    this.#delivered += bytes
    for (let [first] = this.#segments; first && this.#delivered >= first.bytes; [first] = this.#segments) {
      if (this.#segments.length === 1 && this.#writer) return this.#empty(first)
      this.#delivered -= first.bytes
      this.#forget(first)
    }
  }

  #forget({ path, bytes }: Segment): void {
    this.#segments.shift()
    this.#bytes -= bytes
    const { segment, offset } = this.#reading
    this.#reading = segment === 0 ? { segment: 0, offset: 0 } : { segment: segment - 1, offset }
    remove(path)
  }

  /** It is opened for appending, so that the next line is at its beginning. */
  #empty(only: Segment): void {
    if (only.bytes < RESET_BYTES || this.#writer?.bytes !== 0) return
    truncateSync(only.path, 0)
    this.#bytes -= only.bytes
    only.bytes = 0
    this.#delivered = 0
    this.#reading = { segment: 0, offset: 0 }
  }

  /** What is left stays on the disk. */
  close(): void {
    this.#writer?.close()
    this.#writer = undefined
    for (const segment of this.#segments.filter((one, index) => index === 0 && this.#delivered >= one.bytes))
      remove(segment.path)
  }
}

/** The files that processes which run no more have left, oldest first. */
function leftIn({ directory, name }: Options): string[] {
  return readdirSync(directory)
    .map((file) => ({ file, parts: file.split('.') }))
    .filter(({ parts: [whose, , pid = '', , form] }) => whose === name && form === 'jsonl' && !isOfAnother(Number(pid)))
    .map(({ file }) => join(directory, file))
    .sort()
}

/** In a container every start has the same pid: what has ours is from before. */
function isOfAnother(pid: number): boolean {
  if (pid === process.pid) return false
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/** Cuts off what a crash of the machine has left of a last line; the size after that. */
function wholeLinesOf(path: string): number {
  const { size } = statSync(path)
  const fd = openSync(path, 'r')
  try {
    const tail = Buffer.alloc(Math.min(size, READ_BYTES))
    readSync(fd, tail, 0, tail.length, size - tail.length)
    const whole = size - tail.length + tail.lastIndexOf(0x0a) + 1
    if (whole < size) truncateSync(path, whole)
    return whole
  } finally {
    closeSync(fd)
  }
}

function linesFrom(path: string, offset: number): string {
  if (!existsSync(path)) return ''
  const fd = openSync(path, 'r')
  try {
    const left = fstatSync(fd).size - offset
    for (let length = READ_BYTES; ; length *= 2) {
      const chunk = Buffer.alloc(Math.max(0, Math.min(left, length)))
      const read = readSync(fd, chunk, 0, chunk.length, offset)
      const end = chunk.lastIndexOf(0x0a, read - 1) + 1
      if (end > 0 || length >= left) return chunk.toString('utf8', 0, end)
    }
  } finally {
    closeSync(fd)
  }
}

function remove(path: string): void {
  try {
    unlinkSync(path)
  } catch {
    // Gone already: another start has delivered it too.
  }
}

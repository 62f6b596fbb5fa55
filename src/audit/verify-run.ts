import type { KeyObject } from 'node:crypto'
import type { AuditHead } from '../core/audit-line.ts'
import { isSignedBy } from './checkpoint.ts'
import type { ReadLine } from './read-line.ts'
import type { Gap } from './record.ts'
import type { Found } from './verify-fault.ts'
import { readCheckpoint, readStart } from './verify-read.ts'

interface Options {
  /** Its first line. */
  readonly line: ReadLine
  /** Whether nothing of this instance has been read before: then what is missing at its beginning was thrown away. */
  readonly isFirst: boolean
  readonly keys: ReadonlyMap<string, KeyObject> | undefined
  report(found: Found): void
}

/** Lines that have not come yet. `before` and `after`: what the first must follow from, and the last must be. */
interface Hole {
  readonly from: number
  readonly to: number
  readonly before: string | undefined
  readonly after: string
  readonly line: number
  /** Before the first line of all: that they are not here is told as where the audit begins. */
  readonly isBeginning?: true
}

/** Holes that are kept open, in case their lines come out of order. */
const MOST_HOLES = 1000
/** A checkpoint is made before the first entry that is due for one; the clocks of both are the same. */
const SLACK_MS = 1000

/** What has been read of one run, line by line: its last line, its holes, and how far it is signed. */
export class RunLedger {
  readonly #options: Options
  #head: AuditHead
  #holes: Hole[] = []
  /** Of the holes that are not kept open any more: what comes late into one of those may have been here before. */
  #forgottenTo = 0
  #followed: RunLedger | undefined
  /** When the last checkpoint was made, and how soon the next one must be; absent where nobody promised any. */
  #signedAt: number | undefined
  #everyMs: number | undefined
  signed = 0
  unsigned = 0
  dropped = 0

  constructor(options: Options) {
    this.#options = options
    const { line, isFirst } = options
    // What comes before the first line is not known, and not missed, where nothing was read before it.
    this.#head = isFirst || line.seq === 1 ? { run: line.run, seq: line.seq - 1, hash: line.prev } : nothingOf(line)
    if (this.#head.seq > 0)
      this.#holes.push({ from: 1, to: line.seq - 1, before: undefined, after: line.prev, line: 1, isBeginning: true })
  }

  /** The first line that is here, of a run before which nothing was read. */
  get begins(): number {
    const [first] = this.#holes
    return first?.isBeginning ? first.to + 1 : 1
  }

  get head(): AuditHead {
    return this.#head
  }

  /** The run before this one: what vouches for the start of this vouches for the end of that. */
  follows(before: RunLedger): void {
    this.#followed = before
  }

  take(line: ReadLine, at: number): void {
    if (line.seq <= this.#head.seq) return this.#takeLate(line)
    if (line.seq > this.#head.seq + 1) this.#open(line, at)
    else if (line.prev !== this.#head.hash) this.#altered(line, `does not follow from entry ${this.#head.seq}`)
    this.#head = { run: line.run, seq: line.seq, hash: line.hash }
    this.unsigned++
    this.#sign(line)
  }

  #open({ seq, prev, keys }: ReadLine, line: number): void {
    const hole = { from: this.#head.seq + 1, to: seq - 1, before: this.#head.hash || undefined, after: prev, line }
    // There may have been a checkpoint among them. That they are missing is told, or excused by a record of the chain.
    if (this.#signedAt !== undefined) this.#signedAt = Math.max(this.#signedAt, keys.time)
    this.#holes.push(hole)
    this.#forgetSome()
  }

  /** The first ones: what comes late into a part of the audit comes in the order of time, and is close to the end. */
  #forgetSome(): void {
    if (this.#holes.length <= MOST_HOLES) return
    for (const hole of this.#holes.splice(this.#holes[0]?.isBeginning ? 1 : 0, 1)) {
      this.#forgottenTo = Math.max(this.#forgottenTo, hole.to)
      this.#missing(hole)
    }
  }

  /** Out of order, or there a second time. */
  #takeLate(line: ReadLine): void {
    const { seq } = line
    const hole = this.#holes.find(({ from, to }) => from <= seq && seq <= to)
    if (!hole && seq > this.#forgottenTo)
      return this.#options.report({ code: 'duplicated', message: `entry ${seq} has been here before`, seq })
    const at = hole && { line: hole.line }
    this.#options.report({ code: 'reordered', message: `entry ${seq} is not in its place`, seq, ...at })
    this.#holes = this.#holes.flatMap((one) => (one === hole ? this.#fill(hole, line) : one))
    this.#forgetSome()
  }

  #fill(hole: Hole, line: ReadLine): Hole[] {
    const { seq, prev, hash } = line
    const isFirst = seq === hole.from && hole.before !== undefined
    if (isFirst && prev !== hole.before) this.#altered(line, `does not follow from entry ${seq - 1}`)
    if (seq === hole.to && hash !== hole.after) this.#altered(line, `is not what entry ${seq + 1} follows from`)
    const left = { ...hole, to: seq - 1, after: prev }
    const { isBeginning: _, ...right } = { ...hole, from: seq + 1, before: hash }
    return [left, right].filter(({ from, to }) => from <= to)
  }

  #altered({ seq }: ReadLine, how: string): void {
    this.#options.report({ code: 'altered', message: `entry ${seq} ${how}: one of the two was changed`, seq })
  }

  /** Lines that a sink was told to drop. */
  excuse({ from, to }: Pick<Gap, 'from' | 'to'>): void {
    this.#holes = this.#holes.flatMap((hole) => {
      const first = Math.max(hole.from, from)
      const last = Math.min(hole.to, to)
      if (first > last || hole.isBeginning) return hole
      this.dropped += last - first + 1
      const left = { ...hole, to: first - 1 }
      const right = { ...hole, from: last + 1, before: undefined }
      return [left, right].filter((one) => one.from <= one.to)
    })
  }

  #sign(line: ReadLine): void {
    if (line.kind === 'start') this.#promise(line)
    if (line.kind === 'checkpoint') return this.#checkpoint(line)
    const { time } = line.keys
    if (this.#signedAt === undefined || time <= this.#signedAt + (this.#everyMs ?? 0) + SLACK_MS) return
    const message = `no checkpoint for more than the ${this.#everyMs} ms that were promised: were some taken out?`
    this.#options.report({ code: 'unsigned', message, seq: line.seq })
    this.#signedAt = time
  }

  #promise(line: ReadLine): void {
    if (!this.#options.keys) return
    this.#everyMs = readStart(line)?.checkpointEveryMs
    if (this.#everyMs !== undefined) this.#signedAt = line.keys.time
    else this.#options.report({ code: 'unsigned', message: 'begins a run that signs nothing', seq: line.seq })
  }

  #checkpoint(line: ReadLine): void {
    const message = this.#faultOfCheckpoint(line)
    if (message !== undefined) return this.#options.report({ code: 'checkpoint-forged', message, seq: line.seq })
    if (!this.#options.keys) return
    this.signed++
    this.unsigned = 0
    if (this.#signedAt !== undefined) this.#signedAt = line.keys.time
    if (this.#followed) this.#followed.unsigned = 0
    this.#followed = undefined
  }

  #faultOfCheckpoint({ body, seq, prev, instance, run }: ReadLine): string | undefined {
    const said = readCheckpoint(body)
    if (!said) return 'is a checkpoint without a signature'
    const { covers, key, signature } = said
    if (covers.seq !== seq - 1 || covers.hash !== prev) return 'vouches for another line than the one before it'
    if (!this.#options.keys) return undefined
    const known = this.#options.keys.get(key)
    if (!known) return `is signed by ${key.slice(0, 60)}, which is none of the keys given`
    return isSignedBy(known, instance, { run, ...covers }, signature) ? undefined : 'has a signature that is not right'
  }

  #missing({ from, to, line }: Hole): void {
    const message = from === to ? `entry ${from} is missing` : `entries ${from} to ${to} are missing`
    this.#options.report({ code: 'missing', message, seq: from, line })
  }

  /** Nothing more will come. */
  end(): void {
    for (const hole of this.#holes) if (!hole.isBeginning) this.#missing(hole)
    this.#holes = this.#holes.filter(({ isBeginning }) => isBeginning)
  }

  /** Why these lines do not reach that one, or are not those that it ends; undefined: they do, and are. */
  faultOf({ seq, hash }: AuditHead): Pick<Found, 'code' | 'message' | 'seq'> | undefined {
    const { seq: last, hash: own } = this.#head
    const missing = `entries ${last + 1} to ${seq} are missing at the end of a run`
    if (last < seq) return { code: 'tail-missing', message: missing, seq: last + 1 }
    const isOther = last === seq && hash !== own
    return isOther ? { code: 'altered', message: `entry ${seq} is not the one that was followed`, seq } : undefined
  }
}

function nothingOf({ run }: ReadLine): AuditHead {
  return { run, seq: 0, hash: '' }
}

import type { KeyObject } from 'node:crypto'
import type { AuditHead } from '../core/audit-line.ts'
import { NO_HASH } from './chain.ts'
import type { ReadLine } from './read-line.ts'
import type { Found } from './verify-fault.ts'
import { readGap, readStart } from './verify-read.ts'
import { RunLedger } from './verify-run.ts'

interface Options {
  readonly instance: string
  /** By thumbprint; undefined: signatures are not looked at. */
  readonly keys: ReadonlyMap<string, KeyObject> | undefined
  report(found: Found): void
}

/** The first line that is here of an instance. `after`: the line before it, where it begins a run and names it. */
export interface AuditBeginning {
  readonly run: string
  readonly seq: number
  readonly after: AuditHead | undefined
}

/** Runs that are remembered; several may be under way, and one is linked to by the next. */
const MOST_RUNS = 4096

/** What has been read of one instance: its runs, and how they follow each other. */
export class InstanceLedger {
  readonly #options: Options
  readonly #runs = new Map<string, RunLedger>()
  #count = 0
  #isForgetful = false
  #gone = { signed: 0, unsigned: 0, dropped: 0 }
  #last: RunLedger | undefined
  #first: { readonly run: string; readonly ledger: RunLedger; readonly after: AuditHead | undefined } | undefined

  constructor(options: Options) {
    this.#options = options
  }

  /** Where it begins, where that is not the first line that this instance has ever written. */
  get beginning(): AuditBeginning | undefined {
    const { run, ledger, after } = this.#first ?? {}
    if (run === undefined || !ledger || (ledger.begins === 1 && !after)) return undefined
    return { run, seq: ledger.begins, after }
  }

  get runs(): number {
    return this.#count
  }

  get signed(): number {
    return this.#sum('signed')
  }

  get unsigned(): number {
    return this.#sum('unsigned')
  }

  get dropped(): number {
    return this.#sum('dropped')
  }

  get head(): AuditHead | undefined {
    return this.#last?.head
  }

  #sum(what: 'signed' | 'unsigned' | 'dropped'): number {
    return [...this.#runs.values()].reduce((total, run) => total + run[what], this.#gone[what])
  }

  take(line: ReadLine, at: number): void {
    const known = this.#runs.get(line.run)
    const run = known ?? this.#begin(line)
    run.take(line, at)
    const gap = line.kind === 'gap' ? readGap(line.body) : undefined
    if (gap) this.#runs.get(gap.run)?.excuse(gap)
  }

  #begin(line: ReadLine): RunLedger {
    const { keys, report } = this.#options
    const isFirst = this.#count++ === 0
    const run = new RunLedger({ line, keys, isFirst, report: (found) => report({ ...whose(line), ...found }) })
    if (isFirst) this.#first = { run: line.run, ledger: run, after: readStart(line)?.after }
    if (line.seq === 1) this.#link(line, run, isFirst)
    this.#forgetSome()
    this.#runs.set(line.run, run)
    this.#last = run
    return run
  }

  /** A run names the last line before it, so a run or a tail that is gone is missed. */
  #link(line: ReadLine, run: RunLedger, isFirst: boolean): void {
    const report = (code: Found['code'], message: string) => this.#options.report({ code, message, ...whose(line) })
    const start = readStart(line)
    if (!start) return report('altered', 'begins a run, and is no start')
    const { after } = start
    if (line.prev !== (after?.hash ?? NO_HASH))
      report('altered', 'begins a run, and goes on from another hash than it says')
    if (isFirst) return
    if (!after) return report('unlinked', 'begins a run that names none before it, and there were some')
    const before = this.#runs.get(after.run)
    if (before) return this.#follow(before, after, run)
    if (!this.#isForgetful) report('run-missing', `run ${after.run}, which this one follows, is not here`)
  }

  #follow(before: RunLedger, after: AuditHead, run: RunLedger): void {
    const fault = before.faultOf(after)
    if (!fault) return run.follows(before)
    this.#options.report({ ...fault, instance: this.#options.instance, run: after.run })
  }

  #forgetSome(): void {
    const [oldest] = this.#runs
    if (!oldest || this.#runs.size < MOST_RUNS) return
    const [name, run] = oldest
    run.end()
    this.#gone = {
      signed: this.#gone.signed + run.signed,
      unsigned: this.#gone.unsigned + run.unsigned,
      dropped: this.#gone.dropped + run.dropped,
    }
    this.#runs.delete(name)
    this.#isForgetful = true
  }

  end(): void {
    for (const run of this.#runs.values()) run.end()
  }

  /** Why these lines do not reach that one; undefined: they do. */
  faultOfHead(head: AuditHead): string | undefined {
    const run = this.#runs.get(head.run)
    return run ? run.faultOf(head)?.message : `run ${head.run} is not here`
  }
}

function whose({ instance, run, seq }: ReadLine) {
  return { instance, run, seq }
}

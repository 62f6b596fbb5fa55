import { randomUUIDv7 } from 'node:crypto'
import { Chain } from '../../src/audit/chain.ts'
import type { Entry } from '../../src/audit/entry.ts'
import { partsOf, type WalkedRows } from '../../src/audit/rows.ts'
import type { RowStore, SinkTools } from '../../src/audit/sink.ts'
import type { AuditHead, AuditLine } from '../../src/core/audit-line.ts'
import { createDialer } from '../../src/wire/dial.ts'
import { createResolver } from '../../src/wire/resolve.ts'
import { References } from './references.ts'

/** A permitted ask, as the gate tells of it. */
export function entryOf(changes: Partial<Entry> = {}): Entry {
  return {
    time: '2027-01-02T03:04:05.678Z',
    id: 'one',
    door: 'forward 127.0.0.1:15001',
    method: 'GET',
    host: 'api.crm.test',
    port: undefined,
    path: '/v1/contacts/7',
    caller: 'checkout',
    proof: 'api-key',
    pid: undefined,
    details: undefined,
    groups: undefined,
    scopes: undefined,
    originalDestination: undefined,
    wouldRefuse: undefined,
    connection: 'crm',
    grant: 'grants[0]',
    rule: undefined,
    decision: 'permit',
    tunnel: undefined,
    reason: undefined,
    code: undefined,
    status: 200,
    ended: 'complete',
    bytesIn: 0,
    bytesOut: 2,
    totalMs: 1.5,
    mintMs: undefined,
    upstreamAddress: '127.0.0.1:443',
    resends: 0,
    credential: {
      source: 'static',
      version: 'secret 1',
      fingerprint: '0123456789abcdef',
      secret: 'file:secrets/crm@01234567',
    },
    traceId: undefined,
    spanId: undefined,
    ...changes,
  }
}

/** A chain of its own, for lines that go straight into a sink. */
export function makeChain(instance = 'host-1', after?: AuditHead): Chain {
  return new Chain({ instance, run: randomUUIDv7(), after })
}

/** So many lines of asks. */
export function linesOf(chain: Chain, count: number): AuditLine[] {
  return Array.from({ length: count }, (_, index) => chain.link({ kind: 'ask', body: entryOf({ id: `ask ${index}` }) }))
}

/** What a sink is told and what it tells, in a test. */
export interface TestTools {
  readonly tools: SinkTools
  readonly faults: readonly string[]
  readonly gaps: readonly { readonly run: string; readonly from: number; readonly to: number }[]
  dropped(): number
}

/** Tools of a sink; `collector.test` is at 127.0.0.1. `secret`: what every reference means. */
export function makeSinkTools(changes: Partial<SinkTools> = {}, secret = 'collector-key'): TestTools {
  const faults: string[] = []
  const gaps: { run: string; from: number; to: number }[] = []
  let dropped = 0
  const tools: SinkTools = {
    name: 'test',
    directory: '/',
    whenFull: 'refuse',
    spill: undefined,
    references: new References(secret),
    dialer: createDialer({ resolver: createResolver({ hosts: { 'collector.test': ['127.0.0.1'] } }) }),
    rows: undefined,
    instance: 'host-1',
    onFault: (reason) => faults.push(reason),
    onDropped: (count) => (dropped += count),
    onGap: (gap) => gaps.push(gap),
    ...changes,
  }
  return { tools, faults, gaps, dropped: () => dropped }
}

/** Rows in memory, with a knob: what they do with the next insert. */
export class KnobRows implements RowStore {
  readonly rows = new Map<string, AuditLine>()
  /** Sizes of the inserts that were tried. */
  readonly batches: number[] = []
  /** In the order in which they came first. */
  readonly order: number[] = []
  /** Says of each insert whether it fails, and whether what it was given is there nevertheless. */
  knob: () => 'take' | 'fail' | 'take and fail' = () => 'take'

  async insert(lines: readonly AuditLine[]): Promise<void> {
    this.batches.push(lines.length)
    await new Promise((done) => setImmediate(done))
    const how = this.knob()
    if (how !== 'fail') for (const line of lines) this.#take(line)
    if (how !== 'take') throw new Error('the database is away')
  }

  #take(line: AuditLine): void {
    const key = `${line.instance} ${line.run} ${line.seq}`
    if (this.rows.has(key)) return
    this.rows.set(key, line)
    this.order.push(line.seq)
  }

  async latest(instance: string): Promise<AuditHead | undefined> {
    return [...this.rows.values()].findLast((line) => line.instance === instance)
  }
}

/** Every line of the store, as `verifyAudit` takes them. */
export async function* linesOfRows(rows: WalkedRows, size = 500): AsyncGenerator<string, void, undefined> {
  for await (const part of partsOf(rows, size)) yield* part.map(({ line }) => line)
}

import { z } from '../../forms/zod.ts'
import { orSettingsExit } from '../failing.ts'
import { whatText } from './audit-what.ts'
import { ask, askAll, lines } from './client.ts'
import { findDoor, type OperatorDoor } from './door.ts'
import { type Column, tableOf } from './output.ts'
import { timeBack } from './time.ts'
import { type VerbOptions, viaDoor } from './verb.ts'

/** What is wanted of the audit. */
export interface AuditOptions extends VerbOptions {
  /** Of one record, or the urn form that an app was answered with. */
  readonly id?: string
  /** What report mode let through. */
  readonly wouldRefuse?: string
  /** The trace that it is part of. */
  readonly trace?: string
  readonly since?: string
  readonly until?: string
  readonly caller?: string
  readonly connection?: string
  readonly host?: string
  readonly code?: string
  readonly fingerprint?: string
  readonly secret?: string
  readonly kind?: string
  readonly limit?: string
}

const record = z.looseObject({
  msg: z.string(),
  time: z.string(),
  caller: z.string().optional(),
  connection: z.string().optional(),
  method: z.string().optional(),
  door: z.string().optional(),
  host: z.string().optional(),
  port: z.int().optional(),
  path: z.string().optional(),
  status: z.int().optional(),
  code: z.string().optional(),
  reason: z.string().optional(),
  wouldRefuse: z.string().optional(),
  operator: z.string().optional(),
  action: z.string().optional(),
  subject: z.string().optional(),
})
type Record = z.infer<typeof record>

/** `sallyport audit search`: newest first. */
export function search(options: AuditOptions): Promise<void> {
  return viaDoor(options, async (door) => {
    const { items, isMore } = await searched(door, options)
    const note = isMore ? 'there is more: use --limit, --until, or `audit export`' : undefined
    return { json: items, words: tableOf(items, COLUMNS, 'no records'), note }
  })
}

const page = z.object({ items: z.array(record), cursor: z.string().optional() })

/** As many as are wanted: what is read through comes in parts that may be short. */
async function searched(door: OperatorDoor, options: AuditOptions) {
  const { id, wouldRefuse, trace, limit } = options
  const query = { ...filterOf(options), id, wouldRefuse, trace }
  const items: Record[] = []
  let cursor: string | undefined
  do {
    const rest = items.length === 0 ? limit : Number(limit) - items.length
    const part = await ask(door, page, { path: '/v1/audit', query: { ...query, limit: rest, cursor } })
    items.push(...part.items)
    cursor = part.cursor
  } while (cursor !== undefined && items.length < Number(limit))
  return { items, isMore: cursor !== undefined }
}

/** `sallyport audit blast-radius`: every request that spent this credential, or any of this secret. */
export function blastRadius(options: AuditOptions): Promise<void> {
  return viaDoor(options, async (door) => {
    const { fingerprint, secret } = options
    if ((fingerprint === undefined) === (secret === undefined))
      throw new Error('use --fingerprint F or --secret NAME@VERSION')
    const found = await Array.fromAsync(
      askAll(door, record, { path: '/v1/audit/blast-radius', query: { fingerprint, secret } }),
    )
    const callers = new Set(found.map(({ caller }) => caller))
    const note = `${found.length} requests by ${callers.size} callers`
    return { json: found, words: tableOf(found, COLUMNS, 'no request spent it'), note }
  })
}

/** `sallyport audit export`: the very lines that were written, oldest first. */
export function exportAudit(options: AuditOptions): Promise<void> {
  return follow(options, async function* (door, signal) {
    yield* lines(door, { path: '/v1/audit/export', query: filterOf(options) }, signal)
  })
}

/** `sallyport audit tail`: records as they are written, one JSON a line, until it is interrupted. */
export function tail(options: AuditOptions): Promise<void> {
  return follow(options, async function* (door, signal) {
    const { since: _since, until: _until, ...filter } = filterOf(options)
    for await (const line of lines(door, { path: '/v1/audit/tail', query: filter }, signal)) {
      if (line.startsWith('data:')) yield line.slice('data:'.length).trimStart()
    }
  })
}

type Source = (door: Awaited<ReturnType<typeof findDoor>>, signal: AbortSignal) => AsyncGenerator<string>

async function follow(options: VerbOptions, source: Source): Promise<void> {
  await orSettingsExit(async () => {
    const end = new AbortController()
    process.once('SIGINT', () => end.abort())
    // A reader that has seen enough, as `head` has.
    process.stdout.on('error', () => end.abort())
    for await (const line of source(await findDoor(options), end.signal)) {
      if (!process.stdout.write(`${line}\n`) && !end.signal.aborted) await drained(end.signal)
    }
  })
}

function drained(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    process.stdout.once('drain', resolve)
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

function filterOf(options: AuditOptions) {
  const now = Date.now()
  const { since, until, caller, connection, host, code, fingerprint, secret, kind } = options
  return {
    since: since === undefined ? undefined : timeBack(since, now),
    until: until === undefined ? undefined : timeBack(until, now),
    caller,
    connection,
    host,
    code,
    fingerprint,
    secret,
    kind,
  }
}

const COLUMNS: readonly Column<Record>[] = [
  { head: 'TIME', text: ({ time }) => time },
  { head: 'WHO', text: ({ caller, operator }) => caller ?? operator },
  { head: 'CONNECTION', text: ({ connection, subject }) => connection ?? subject },
  { head: 'WHAT', text: whatText },
  { head: 'STATUS', text: ({ status }) => (status === undefined ? undefined : String(status)) },
  { head: 'CODE', text: ({ code, wouldRefuse }) => code ?? (wouldRefuse && `would be ${wouldRefuse}`) },
  { head: 'REASON', text: ({ reason }) => reason },
]

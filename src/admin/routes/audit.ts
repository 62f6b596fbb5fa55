import { findMisfiled } from '../../audit/misfiled.ts'
import { blastRadius, type Search } from '../../audit/rows.ts'
import { z } from '../../forms/zod.ts'
import type { AuditPage } from '../../store/audit-rows.ts'
import { inputInvalid } from '../admin-problem.ts'
import { findById, recordId } from '../audit-by-id.ts'
import { exportLines } from '../audit-export.ts'
import { auditKeys, auditPage, auditPeriod, filterOf } from '../audit-query.ts'
import { findUnindexed, traceId, wouldRefuse } from '../audit-unindexed.ts'
import { blastRadiusSummary, summaryView } from '../blast-radius.ts'
import { look, type Route, stream } from '../route.ts'
import { listOf, named, paging } from '../shapes.ts'
import { auditOf } from '../store-of.ts'
import { followAudit } from '../tail.ts'

/** As it was written: the fields of an entry grow, and none is ever taken away. */
const record = named(
  'AuditRecord',
  z.looseObject({
    msg: z.enum(['ask', 'change', 'checkpoint', 'start', 'gap']),
    time: z.string(),
    instance: z.string().optional(),
    run: z.string().optional(),
    seq: z.int().optional(),
    hash: z.string().optional(),
  }),
)
const list = listOf('AuditRecordList', record)

const radius = named(
  'BlastRadiusList',
  z.strictObject({
    summary: blastRadiusSummary.optional().meta({ description: 'of all requests; with the first part alone' }),
    ...list.shape,
  }),
)

const misfiled = named(
  'Misfiled',
  z.strictObject({
    rows: z.int().meta({ description: 'how many were looked at' }),
    misfiled: z.int(),
    first: z.strictObject({ instance: z.string(), run: z.string(), seq: z.int() }).optional(),
  }),
)

/** What has happened. */
export const auditRoutes: readonly Route[] = [
  look({
    path: '/v1/audit',
    summary: 'Audit records, newest first',
    role: 'viewer',
    query: z.strictObject({
      id: recordId.optional(),
      wouldRefuse: wouldRefuse.optional(),
      trace: traceId.optional(),
      ...auditPage,
    }),
    response: list,
    problems: ['store-missing', 'audit-elsewhere', 'store-lost'],
    async handle({ query: { id, wouldRefuse: code, trace, ...query } }, ports) {
      const filter = filterOf(query)
      const audit = auditOf(ports)
      const extra = [...(code === undefined ? [] : ['wouldRefuse']), ...(trace === undefined ? [] : ['trace'])]
      if (id !== undefined && extra.length > 0)
        throw inputInvalid(extra.map((pointer) => ({ pointer, detail: 'use it without id' })))
      if (id !== undefined) return listed({ lines: await findById(audit, id, filter), cursor: undefined })
      if (extra.length > 0) return listed(await findUnindexed(audit, { wouldRefuse: code, traceId: trace }, filter))
      return listed(await audit.find(filter))
    },
  }),
  look({
    path: '/v1/audit/blast-radius',
    summary:
      'Every request that spent a credential, or any credential of a long-lived secret: the sums, and the requests',
    role: 'viewer',
    query: z.strictObject({ ...paging, fingerprint: auditKeys.fingerprint, secret: auditKeys.secret }),
    response: radius,
    problems: ['store-missing', 'audit-elsewhere', 'store-lost'],
    async handle({ query }, ports) {
      const search = searchOf(query)
      const audit = auditOf(ports)
      const found = listed(await audit.find({ ...search, kind: 'ask', limit: query.limit, cursor: query.cursor }))
      if (query.cursor !== undefined) return found
      return { summary: summaryView(await blastRadius(audit, search)), ...found }
    },
  }),
  stream({
    path: '/v1/audit/export',
    summary:
      'Audit records, one a line, exactly as they were written: all of them in the order of the chain, some of them oldest first',
    role: 'viewer',
    query: z.strictObject(auditPeriod),
    response: 'application/x-ndjson',
    problems: ['store-missing', 'audit-elsewhere', 'store-lost'],
    handle: ({ query }, ports) => exportLines(auditOf(ports), filterOf(query)),
  }),
  look({
    path: '/v1/audit/misfiled',
    summary: 'Whether every record is found by what its line says: no chain tells, because the hash is over the line',
    role: 'viewer',
    response: misfiled,
    problems: ['store-missing', 'audit-elsewhere', 'store-lost'],
    async handle(_asked, ports) {
      const { rows, misfiled: count, first } = await findMisfiled(auditOf(ports))
      const spot = first && { instance: first.instance, run: first.run, seq: first.seq }
      return { rows, misfiled: count, ...(spot && { first: spot }) }
    },
  }),
  stream({
    path: '/v1/audit/tail',
    summary: 'Audit records as they are written, as server-sent events; goes on after Last-Event-ID where it can',
    role: 'viewer',
    query: z.strictObject(auditKeys),
    response: 'text/event-stream',
    problems: ['too-many-tails'],
    handle: ({ query, lastEventId }, ports) => followAudit(ports.tail, { wanted: query, lastEventId }),
  }),
]

/** @throws AdminProblem `input-invalid` */
function searchOf({
  fingerprint,
  secret,
}: {
  readonly fingerprint?: string | undefined
  readonly secret?: string | undefined
}): Search {
  if (fingerprint !== undefined && secret === undefined) return { fingerprint }
  if (secret === undefined || fingerprint !== undefined)
    throw inputInvalid([{ pointer: 'fingerprint', detail: 'use exactly one of fingerprint and secret' }])
  if (!/^.+@[^@]+$/.test(secret)) throw inputInvalid([{ pointer: 'secret', detail: 'use NAME@VERSION, as in "crm@3"' }])
  return { secret }
}

function listed({ lines, cursor }: AuditPage): z.infer<typeof list> {
  const items = lines.map(({ line }) => record.parse(JSON.parse(line)))
  return { items, ...(cursor !== undefined && { cursor }) }
}

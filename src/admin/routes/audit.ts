import { z } from '../../forms/zod.ts'
import { inputInvalid } from '../admin-problem.ts'
import { exportLines } from '../audit-export.ts'
import { auditKeys, auditPage, auditPeriod, filterOf } from '../audit-query.ts'
import type { AdminPorts } from '../ports.ts'
import { look, type Route, stream } from '../route.ts'
import { listOf, named, paging } from '../shapes.ts'
import { storeOf } from '../store-of.ts'
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

/** What has happened. */
export const auditRoutes: readonly Route[] = [
  look({
    path: '/v1/audit',
    summary: 'Audit records, newest first',
    role: 'viewer',
    query: z.strictObject(auditPage),
    response: list,
    problems: ['store-missing', 'store-lost'],
    handle: ({ query }, ports) => find(filterOf(query), ports),
  }),
  look({
    path: '/v1/audit/blast-radius',
    summary: 'Every request that spent a credential, or any credential of a long-lived secret; newest first',
    role: 'viewer',
    query: z.strictObject({ ...paging, fingerprint: auditKeys.fingerprint, secret: auditKeys.secret }),
    response: list,
    problems: ['store-missing', 'store-lost'],
    handle({ query }, ports) {
      if ((query.fingerprint === undefined) === (query.secret === undefined))
        throw inputInvalid([{ pointer: 'fingerprint', detail: 'use exactly one of fingerprint and secret' }])
      if (query.secret !== undefined && !/^.+@[^@]+$/.test(query.secret))
        throw inputInvalid([{ pointer: 'secret', detail: 'use NAME@VERSION, as in "crm@3"' }])
      return find({ ...query, kind: 'ask' }, ports)
    },
  }),
  stream({
    path: '/v1/audit/export',
    summary: 'Audit records, one a line, exactly as they were written, oldest first',
    role: 'viewer',
    query: z.strictObject(auditPeriod),
    response: 'application/x-ndjson',
    problems: ['store-missing', 'store-lost'],
    handle: ({ query }, ports) => exportLines(storeOf(ports).audit, filterOf(query)),
  }),
  stream({
    path: '/v1/audit/tail',
    summary: 'Audit records as they are written, as server-sent events; goes on after Last-Event-ID where it can',
    role: 'viewer',
    query: z.strictObject(auditKeys),
    response: 'text/event-stream',
    problems: ['too-many-tails'],
    handle: ({ query, lastEventId, signal }, ports) => followAudit(ports.tail, { wanted: query, lastEventId, signal }),
  }),
]

async function find(filter: ReturnType<typeof filterOf>, ports: AdminPorts): Promise<z.infer<typeof list>> {
  const { lines, cursor } = await storeOf(ports).audit.find(filter)
  const items = lines.map(({ line }) => record.parse(JSON.parse(line)))
  return { items, ...(cursor !== undefined && { cursor }) }
}

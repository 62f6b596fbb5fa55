import { z } from '../forms/zod.ts'
import type { AuditFilter, AuditLine } from '../store/audit-rows.ts'
import { inputInvalid } from './admin-problem.ts'
import { instant, paging } from './shapes.ts'

const word = z.string().min(1).max(512)
const KINDS = ['ask', 'change', 'checkpoint', 'start', 'gap'] as const

/** By what lines of the audit are chosen: all that are given have to fit. */
export const auditKeys = {
  caller: word.optional(),
  connection: word.optional(),
  host: word.optional(),
  code: word.optional().meta({ description: 'stable code of a refusal or a failure' }),
  fingerprint: word.optional().meta({ description: 'of the credential that was spent' }),
  secret: word.optional().meta({ description: '`NAME@VERSION` of the long-lived secret behind it' }),
  kind: z.enum(KINDS).optional(),
}

/** The same, within a time. */
export const auditPeriod = {
  since: instant.optional().meta({ description: 'from this time on' }),
  until: instant.optional().meta({ description: 'before this time' }),
  ...auditKeys,
}

/** The same, a part at a time. */
export const auditPage = { ...auditPeriod, ...paging }

type Query = Partial<z.infer<z.ZodObject<typeof auditPage>>>

/** @throws AdminProblem `input-invalid` where the time ends before it begins */
export function filterOf({ since, until, kind, limit, ...rest }: Query): AuditFilter {
  const filter = { ...rest, ...(kind && { kind }), limit, since: msOf(since), until: msOf(until) }
  if (filter.since !== undefined && filter.until !== undefined && filter.until <= filter.since)
    throw inputInvalid([{ pointer: 'until', detail: 'use a time after since' }])
  return filter
}

function msOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Date.parse(text)
}

/** Whether a line is one of those: what the store does for old lines, for those that are being written. */
export function isOf({ keys }: AuditLine, wanted: z.infer<z.ZodObject<typeof auditKeys>>): boolean {
  return KEYS.every((key) => wanted[key] === undefined || wanted[key] === keys[key])
}

// The keys of an object literal are exactly those of its type.
const KEYS = Object.keys(auditKeys) as (keyof typeof auditKeys)[]

import { z } from '../../forms/zod.ts'
import type { Shift } from '../../review/replay.ts'
import { AdminProblem, inputInvalid } from '../admin-problem.ts'
import { CandidateError, type PolicyHistory } from '../policy-history.ts'
import type { AdminPorts } from '../ports.ts'
import { look, type Route } from '../route.ts'
import { instant, named } from '../shapes.ts'
import { auditOf } from '../store-of.ts'

const MAX_CANDIDATE = 1024 * 1024
const since = instant.meta({ description: 'from this time on' })
const candidate = named(
  'Candidate',
  z.strictObject({
    candidate: z.string().min(1).max(MAX_CANDIDATE).meta({ description: 'settings, as YAML' }),
    since,
  }),
)
const shift = named(
  'Shift',
  z.strictObject({
    caller: z.string(),
    connection: z.string().optional(),
    host: z.string().optional(),
    method: z.string(),
    path: z.string().optional().meta({ description: 'with `*` for ids, without the query; absent of a CONNECT' }),
    count: z.int().meta({ description: 'how often it was asked' }),
    reason: z.string().meta({ description: 'why it would be decided so' }),
    code: z.string().optional().meta({ description: 'of the refusal that it would be' }),
    example: z
      .strictObject({ time: z.string(), id: z.string(), path: z.string().optional() })
      .meta({ description: 'one of them, by the id that its entry has' }),
  }),
)
const replay = named(
  'Replay',
  z.strictObject({
    newlyDenied: z.array(shift).meta({ description: 'let through then, refused now' }),
    newlyAllowed: z.array(shift).meta({ description: 'refused then, let through now' }),
    newlyCredentialed: z.array(shift).meta({ description: 'without a credential then, with one now' }),
    replayed: z.int(),
    skipped: z.int().meta({ description: 'of these too little is known to decide them anew' }),
  }),
)
const of = z.enum(['passed', 'refused']).default('passed').meta({
  description:
    '`passed`: the least that what was let through needs, in place of what is there; `refused`: what the rest lacked, beside it',
})
const suggestion = named('Suggestion', z.strictObject({ yaml: z.string(), asks: z.int() }))

/** What has been asked, in the light of a policy. */
export const policyRoutes: readonly Route[] = [
  look({
    method: 'POST',
    path: '/v1/policy/replay',
    summary: 'What other settings would have decided otherwise',
    role: 'viewer',
    body: candidate,
    response: replay,
    problems: ['store-missing', 'audit-elsewhere', 'store-lost'],
    async handle({ body }, ports) {
      const found = await historyOf(ports).replay(body.candidate, Date.parse(body.since)).catch(refuseCandidate)
      const { newlyDenied, newlyAllowed, newlyCredentialed, replayed, skipped } = found
      return {
        newlyDenied: newlyDenied.map(view),
        newlyAllowed: newlyAllowed.map(view),
        newlyCredentialed: newlyCredentialed.map(view),
        replayed,
        skipped,
      }
    },
  }),
  look({
    path: '/v1/policy/suggest',
    summary: 'The allowlist and the rules that what was asked needs',
    role: 'viewer',
    query: z.strictObject({ since, of }),
    response: suggestion,
    problems: ['store-missing', 'audit-elsewhere', 'store-lost'],
    async handle({ query }, ports) {
      const { yaml, asks } = await historyOf(ports).suggest(Date.parse(query.since), query.of)
      return { yaml, asks }
    },
  }),
]

/** The past is in the store. @throws AdminProblem `store-missing`, `audit-elsewhere` */
function historyOf(ports: Pick<AdminPorts, 'history' | 'store' | 'isAuditStored'>): PolicyHistory {
  auditOf(ports)
  if (!ports.history) throw new AdminProblem('store-missing')
  return ports.history
}

function refuseCandidate(error: unknown): never {
  if (!(error instanceof CandidateError)) throw error
  throw inputInvalid(error.faults.map((detail) => ({ pointer: '#/candidate', detail })))
}

function view({ caller, connection, host, method, path, count, reason, code, example }: Shift): z.infer<typeof shift> {
  const { time, id, path: examplePath } = example
  return {
    caller,
    ...(connection !== undefined && { connection }),
    ...(host !== undefined && { host }),
    method,
    ...(path !== undefined && { path }),
    count,
    reason,
    ...(code !== undefined && { code }),
    example: { time, id, ...(examplePath !== undefined && { path: examplePath }) },
  }
}

import { z } from '../../forms/zod.ts'
import { AdminProblem, inputInvalid } from '../admin-problem.ts'
import { CandidateError, type ChangedAsk, type PolicyHistory } from '../policy-history.ts'
import type { AdminPorts } from '../ports.ts'
import { look, type Route } from '../route.ts'
import { instant, named } from '../shapes.ts'

const MAX_CANDIDATE = 1024 * 1024
const since = instant.meta({ description: 'from this time on' })
const candidate = named(
  'Candidate',
  z.strictObject({
    candidate: z.string().min(1).max(MAX_CANDIDATE).meta({ description: 'settings, as YAML' }),
    since,
  }),
)
const changedAsk = named(
  'ChangedAsk',
  z.strictObject({
    caller: z.string(),
    connection: z.string().optional(),
    method: z.string(),
    host: z.string(),
    path: z.string().meta({ description: 'without the query' }),
    count: z.int().meta({ description: 'how often it was asked' }),
    was: z.string().meta({ description: '`permit`, or the code of the refusal' }),
    now: z.string(),
  }),
)
const replay = named(
  'Replay',
  z.strictObject({
    asks: z.int().meta({ description: 'how many were decided anew' }),
    denied: z.array(changedAsk),
    allowed: z.array(changedAsk),
    credentialed: z.array(changedAsk).meta({ description: 'allowed before and after, and given a credential now' }),
  }),
)
const suggestion = named('Suggestion', z.strictObject({ yaml: z.string() }))

/** What has been asked, in the light of a policy. */
export const policyRoutes: readonly Route[] = [
  look({
    method: 'POST',
    path: '/v1/policy/replay',
    summary: 'What other settings would have decided otherwise',
    role: 'viewer',
    body: candidate,
    response: replay,
    problems: ['store-missing', 'store-lost'],
    async handle({ body }, ports) {
      const { asks, denied, allowed, credentialed } = await historyOf(ports)
        .replay(body.candidate, Date.parse(body.since))
        .catch(refuseCandidate)
      return { asks, denied: denied.map(view), allowed: allowed.map(view), credentialed: credentialed.map(view) }
    },
  }),
  look({
    path: '/v1/policy/suggest',
    summary: 'The allowlist and the rules that what was asked needs',
    role: 'viewer',
    query: z.strictObject({ since }),
    response: suggestion,
    problems: ['store-missing', 'store-lost'],
    handle: async ({ query }, ports) => ({ yaml: await historyOf(ports).suggest(Date.parse(query.since)) }),
  }),
]

/** The past is in the store. */
function historyOf({ history }: Pick<AdminPorts, 'history'>): PolicyHistory {
  if (!history) throw new AdminProblem('store-missing')
  return history
}

function refuseCandidate(error: unknown): never {
  if (!(error instanceof CandidateError)) throw error
  throw inputInvalid(error.faults.map((detail) => ({ pointer: '#/candidate', detail })))
}

function view({ connection, ...rest }: ChangedAsk): z.infer<typeof changedAsk> {
  return { ...rest, ...(connection !== undefined && { connection }) }
}

import type { RemovedLogin } from '../../core/login.ts'
import { z } from '../../forms/zod.ts'
import { AdminProblem } from '../admin-problem.ts'
import { makeKey } from '../caller-key.ts'
import { caller, callerKey, callerViews, callerWithKey, keyView, storedCallerView } from '../caller-view.ts'
import { allGrants, grantView } from '../grant-view.ts'
import { knownCallers, proofOf } from '../known.ts'
import { pageOf } from '../page.ts'
import type { AdminPorts } from '../ports.ts'
import { change, look, type Route } from '../route.ts'
import { listOf, named, newName, paging } from '../shapes.ts'
import { holdingsOf, storeOf } from '../store-of.ts'
import { type Leaving, revocationTold, tokenRevocation } from '../token-revocation.ts'

const params = z.strictObject({ name: newName.meta({ description: 'name of a caller' }) })
const list = listOf('CallerList', caller)
const draft = named('CallerDraft', z.strictObject({ name: newName }))
const MONTH_MS = 31 * 86_400_000
const rotation = named(
  'Rotation',
  z.strictObject({
    overlapMs: z
      .int()
      .min(0)
      .max(MONTH_MS)
      .optional()
      .meta({ description: 'ms that the keys before it go on being good; without it they end at once' }),
  }),
)
const newKey = named('NewKey', z.strictObject({ ...callerKey.shape, name: z.string(), key: callerWithKey.shape.key }))

const removal = named(
  'CallerRemoval',
  z.strictObject({
    logins: z
      .array(named('LoginRemoval', z.strictObject({ connection: z.string(), revocation: tokenRevocation })))
      .meta({ description: 'logins of its own, and what their authorization servers have done about them' }),
  }),
)

/** Callers, and the keys of those that operators add. */
export const callerRoutes: readonly Route[] = [
  look({
    path: '/v1/callers',
    summary: 'Every caller that is known by name',
    role: 'viewer',
    query: z.strictObject(paging),
    response: list,
    handle: ({ query }, ports) => pageOf(callerViews(ports), ({ name }) => name, query),
  }),
  change({
    method: 'POST',
    path: '/v1/callers',
    summary: 'Add a caller; the answer has its key, this once',
    role: 'granter',
    body: draft,
    status: 201,
    response: callerWithKey,
    action: 'caller.add',
    problems: ['name-taken', 'store-missing', 'store-lost'],
    subject: ({ body }) => body.name,
    async handle({ body: { name }, operator }, ports) {
      const store = storeOf(ports)
      refuseTaken(name, ports)
      const { key, digest } = makeKey()
      const added = await store.addCaller({ name, createdBy: operator.name }, { digest, expiresAt: undefined })
      const view = storedCallerView(added, ports.clock.now())
      return { answer: { ...view, key }, effects: [{ subject: name, after: view }] }
    },
  }),
  change({
    method: 'DELETE',
    path: '/v1/callers/{name}',
    summary: 'Remove a caller, with its keys, its grants and its own logins',
    role: 'granter',
    params,
    response: removal,
    action: 'caller.remove',
    isTaking: true,
    problems: ['not-found', 'caller-declared', 'store-missing', 'store-lost'],
    async handle({ params: { name }, operator }, ports) {
      const store = storeOf(ports)
      refuseUnstored(name, ports)
      const { caller: removed, grants, logins } = await store.removeCaller(name)
      const before = {
        ...storedCallerView(removed, ports.clock.now()),
        grants: grants.map(grantView),
        ...(logins.length > 0 && { logins: logins.map(({ login: { connection, id } }) => ({ connection, id })) }),
      }
      const left = logins.map((gone) => leaving(gone, name, ports))
      const told = async (one: Leaving) => ({
        connection: one.login.connection,
        revocation: await revocationTold(one, operator, ports),
      })
      const answer = async () => ({ logins: await Promise.all(left.map(told)) })
      return { answer, effects: [{ subject: name, before }] }
    },
  }),
  change({
    method: 'POST',
    path: '/v1/callers/{name}/rotate-key',
    summary: 'Give a caller another key; the answer has it, this once',
    role: 'granter',
    params,
    body: rotation,
    isBodyOptional: true,
    response: newKey,
    action: 'caller.rotate-key',
    problems: ['not-found', 'caller-declared', 'store-missing', 'store-lost'],
    async handle({ params: { name }, body: { overlapMs = 0 } }, ports) {
      const store = storeOf(ports)
      const before = refuseUnstored(name, ports)
      const now = ports.clock.now()
      const { key, digest } = makeKey()
      const made = await store.rotateKey(name, { digest, expiresAt: undefined }, now + overlapMs)
      const after = holdingsOf(ports).callers.find((one) => one.name === name)
      const effect = {
        subject: name,
        before: storedCallerView(before, now),
        after: after && storedCallerView(after, now),
      }
      return { answer: { name, ...keyView(made), key }, effects: [effect] }
    },
  }),
]

/** Of a connection that the settings have no more, nobody knows how to tell whom. */
function leaving(gone: RemovedLogin, caller: string, ports: AdminPorts): Leaving {
  const { login } = gone
  const desk = ports.desks().get(login.connection)
  return {
    login,
    caller,
    revoking: desk?.revoke(gone) ?? inVain(`the settings have no connection ${login.connection}`),
  }
}

/**
 * A name is taken too where a template may make it, or where grants wait for it that were made for somebody else: whoever
 * had the name next would have them.
 */
function refuseTaken(name: string, ports: AdminPorts): void {
  if (ports.declared().callers.has(name) || proofOf(name, ports) !== undefined)
    throw new AdminProblem('name-taken', { detail: `Use another name: ${name} is a caller already.` })
  const left = allGrants(ports).find(({ holder }) => holder.caller === name)
  if (left)
    throw new AdminProblem('name-taken', {
      detail: `Use another name, or revoke grant ${left.id} first: it was made for a ${name} that is gone.`,
    })
}

function inVain(reason: string): Leaving['revoking'] {
  const failed = Promise.resolve({ outcome: 'failed', tries: 0, reason } as const)
  return { first: failed, last: failed }
}

/** Only what was added here can be changed here. */
function refuseUnstored(name: string, ports: AdminPorts) {
  if (ports.declared().callers.has(name)) throw new AdminProblem('caller-declared')
  const found = holdingsOf(ports).callers.find((one) => one.name === name)
  if (!found) throw new AdminProblem('not-found', { detail: knownCallers(ports) })
  return found
}

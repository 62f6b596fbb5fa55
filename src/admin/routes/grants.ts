import type { Holder } from '../../core/grants.ts'
import type { StoredGrant } from '../../core/holdings.ts'
import { z } from '../../forms/zod.ts'
import { AdminProblem, fieldInvalid, type InputFault, inputInvalid } from '../admin-problem.ts'
import { allGrants, type GrantView, grant, grantKey, grantView } from '../grant-view.ts'
import { knownCallers, knownConnections, proofOf } from '../known.ts'
import { pageOf } from '../page.ts'
import type { AdminPorts, DeclaredGrant } from '../ports.ts'
import { change, look, type Route } from '../route.ts'
import { callerName, groupName, instant, listOf, named, paging, rules, settingsName } from '../shapes.ts'
import { storeOf } from '../store-of.ts'

const list = listOf('GrantList', grant)
const id = z.string().min(1).max(200).meta({ description: '`id` of a grant' })
const holder = {
  caller: callerName.optional().meta({ description: 'name of a caller; use this or `group`' }),
  group: groupName.optional().meta({ description: 'every caller whose proof names this group; use this or `caller`' }),
}
const connection = settingsName.meta({ description: 'name of a connection' })
const draft = named(
  'GrantDraft',
  z.strictObject({
    ...holder,
    connection,
    rules: rules.optional().meta({ description: 'what is let through; absent: everything' }),
    until: instant.optional().meta({ description: 'refused from this very millisecond on' }),
  }),
)
const revocation = named('Revocation', z.strictObject({ ...holder, connection }))
const revoked = named(
  'Revoked',
  z.strictObject({
    revoked: z.array(grant),
    declared: z.array(grant).meta({ description: 'those that stand in the settings file, and go on' }),
  }),
)

/** Who may use what. */
export const grantRoutes: readonly Route[] = [
  look({
    path: '/v1/grants',
    summary: 'Every grant: those of the settings file, and those made here',
    role: 'viewer',
    query: z.strictObject({
      ...paging,
      caller: callerName.optional(),
      group: groupName.optional(),
      connection: settingsName.optional().meta({ description: 'name of a connection' }),
    }),
    response: list,
    handle({ query }, ports) {
      const { items, ...rest } = pageOf(allGrants(ports).filter(fits(query)), grantKey, query)
      return { items: items.map(grantView), ...rest }
    },
  }),
  change({
    method: 'POST',
    path: '/v1/grants',
    summary: 'Grant the use of a connection; the very next request is let through',
    role: 'granter',
    body: draft,
    status: 201,
    response: grant,
    action: 'grant.add',
    problems: ['store-missing', 'store-lost'],
    subject: ({ body }) => subjectOf(body),
    async handle({ body, operator }, ports) {
      const store = storeOf(ports)
      const until = body.until === undefined ? undefined : Date.parse(body.until)
      refuseUnfit(body, until, ports)
      const { connection, rules = [] } = body
      const made = await store.addGrant({ holder: holderOf(body), connection, rules, until, createdBy: operator.name })
      const view = grantView(made)
      return { answer: view, effects: [{ subject: view.id, after: view }] }
    },
  }),
  change({
    method: 'DELETE',
    path: '/v1/grants/{id}',
    summary: 'Revoke one grant; the very next request is refused',
    role: 'granter',
    params: z.strictObject({ id }),
    action: 'grant.remove',
    isTaking: true,
    problems: ['not-found', 'grant-declared', 'store-missing', 'store-lost'],
    async handle({ params }, ports) {
      if (ports.declared().grants.some((one) => one.id === params.id)) throw new AdminProblem('grant-declared')
      const removed = await storeOf(ports).removeGrants([params.id])
      if (removed.length === 0) throw new AdminProblem('not-found')
      return { answer: undefined, effects: removed.map(removal) }
    },
  }),
  change({
    method: 'POST',
    path: '/v1/grants/revoke',
    summary: 'Revoke all that a caller or a group holds on a connection',
    role: 'granter',
    body: revocation,
    response: revoked,
    action: 'grant.remove',
    isTaking: true,
    problems: ['not-found', 'grant-declared', 'store-missing', 'store-lost'],
    subject: ({ body }) => subjectOf(body),
    async handle({ body }, ports) {
      holderOf(body)
      const held = allGrants(ports).filter(fits(body))
      const declared = held.filter((one) => !('createdAt' in one)).map(grantView)
      const ids = held.filter((one) => 'createdAt' in one).map((one) => one.id)
      if (held.length === 0)
        throw new AdminProblem('not-found', { detail: 'There is no grant of that connection to revoke.' })
      if (ids.length === 0) throw new AdminProblem('grant-declared', { detail: stillDeclared(declared) })
      const removed = await storeOf(ports).removeGrants(ids)
      return { answer: { revoked: removed.map(grantView), declared }, effects: removed.map(removal) }
    },
  }),
]

interface Wanted {
  readonly caller?: string | undefined
  readonly group?: string | undefined
  readonly connection?: string | undefined
}

function fits(wanted: Wanted): (one: DeclaredGrant | StoredGrant) => boolean {
  return ({ holder, connection }) =>
    (wanted.caller === undefined || holder.caller === wanted.caller) &&
    (wanted.group === undefined || holder.group === wanted.group) &&
    (wanted.connection === undefined || connection === wanted.connection)
}

/** @throws AdminProblem `input-invalid` */
function holderOf({ caller, group }: Wanted): Holder {
  if (caller !== undefined && group === undefined) return { caller }
  if (group !== undefined && caller === undefined) return { group }
  throw fieldInvalid(caller === undefined ? 'caller' : 'group', 'use exactly one of caller and group')
}

function subjectOf({ caller, group, connection = '' }: Wanted): string {
  return `${caller ?? `group:${group ?? ''}`} ${connection}`
}

/** All that no single field shows: names that mean nothing, and a time that has passed. */
function refuseUnfit(wanted: Wanted, until: number | undefined, ports: AdminPorts): void {
  const { caller } = holderOf(wanted)
  const { connections } = ports.declared()
  const faults: InputFault[] = []
  if (caller !== undefined && proofOf(caller, ports) === undefined)
    faults.push({ pointer: '#/caller', detail: knownCallers(ports) })
  if (!connections.has(wanted.connection ?? ''))
    faults.push({ pointer: '#/connection', detail: knownConnections(connections.keys()) })
  if (until !== undefined && until <= ports.clock.now())
    faults.push({ pointer: '#/until', detail: 'use a time that is still to come' })
  if (faults.length > 0) throw inputInvalid(faults)
}

function removal(one: Parameters<typeof grantView>[0]) {
  const before = grantView(one)
  return { subject: before.id, before }
}

function stillDeclared(declared: readonly GrantView[]): string {
  const ids = declared.map(({ id }) => id).join(', ')
  return `Take ${ids} out of "grants" in the settings file: what stands there cannot be revoked here.`
}

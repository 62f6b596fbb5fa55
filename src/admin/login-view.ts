import type { ListedLogin, LoginDesk } from '../credentials/login/desk.ts'
import { z } from '../forms/zod.ts'
import { callerName, iso, named } from './shapes.ts'

const time = z.iso.datetime()

const loginStates = z
  .enum(['needs-login', 'ok', 'expiring'])
  .meta({ description: '`expiring`: it ends soon by itself, and only another login helps' })

/** A login, without what was given for it. */
export const login = named(
  'Login',
  z.strictObject({
    caller: callerName.optional().meta({ description: 'whose it is; absent: it serves all callers' }),
    state: loginStates,
    createdAt: time,
    createdBy: z.string().meta({ description: 'name of an operator, or `caller NAME`' }),
    expiresAt: time.optional(),
    id: z.string(),
  }),
)

export type LoginView = z.infer<typeof login>

/** How it stands with the logins of a connection. */
export const loginSummary = named(
  'LoginSummary',
  z.strictObject({
    identity: z.enum(['shared', 'per-caller']),
    state: loginStates.meta({
      description: 'where each caller has its own: `ok` when there is any, `expiring` when one of them ends soon',
    }),
    count: z.int().meta({ description: 'logins that are in use' }),
  }),
)

/** A login as the API shows it. */
export function loginView({ caller, state, login: { id, createdAt, createdBy, expiresAt } }: ListedLogin): LoginView {
  return {
    ...(caller !== undefined && { caller }),
    state,
    createdAt: iso(createdAt),
    createdBy,
    ...(expiresAt !== undefined && { expiresAt: iso(expiresAt) }),
    id,
  }
}

/** All of a desk in one line. */
export function summaryOf(desk: LoginDesk): z.infer<typeof loginSummary> {
  const states = desk.list().map(({ state }) => state)
  const alive = states.filter((state) => state !== 'needs-login')
  const state = alive.length === 0 ? 'needs-login' : alive.includes('expiring') ? 'expiring' : 'ok'
  return { identity: desk.identity, state, count: alive.length }
}

/** What a login is about, for the audit. */
export function subjectOf(connection: string, caller: string | undefined): string {
  return caller === undefined ? connection : `${connection} ${caller}`
}

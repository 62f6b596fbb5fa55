import { Problem } from '../../core/problem.ts'
import type { LoginDesk } from '../../credentials/login/desk.ts'
import { z } from '../../forms/zod.ts'
import { AdminProblem, fieldInvalid } from '../admin-problem.ts'
import { knownCallers, knownConnections, proofOf } from '../known.ts'
import { login, loginView, subjectOf } from '../login-view.ts'
import { pageOf } from '../page.ts'
import type { AdminPorts } from '../ports.ts'
import { change, look, type Route } from '../route.ts'
import { callerName, iso, listOf, named, paging, settingsName } from '../shapes.ts'
import { storeOf } from '../store-of.ts'
import { revocationTold, tokenRevocation } from '../token-revocation.ts'

const params = z.strictObject({ name: settingsName.meta({ description: 'name of a connection' }) })
const list = listOf('LoginList', login)
const whose = callerName.optional().meta({ description: 'whose login; absent where one serves all callers' })
const wish = named(
  'LoginWish',
  z.strictObject({
    caller: whose,
    paste: z.boolean().default(false).meta({
      description:
        'the answer will be given to `finish` by the same operator, and not come to the callback by a browser',
    }),
  }),
)
const begun = named(
  'LoginBegun',
  z.strictObject({
    url: z.string().meta({ description: 'where to go with a browser' }),
    redirectUri: z.string().meta({ description: 'register exactly this with the authorization server' }),
    state: z.string().optional().meta({ description: 'with `paste`: names the login for `finish`' }),
    expiresAt: z.iso.datetime(),
  }),
)
const ending = named(
  'LoginEnding',
  z.strictObject({
    state: z.string().max(256),
    answer: z
      .string()
      .min(1)
      .max(16_384)
      .meta({ description: 'the address that the browser was sent back to, or its `code` alone', writeOnly: true }),
    caller: whose,
  }),
)
const ended = named('LoggedOut', z.strictObject({ caller: whose }))
const farewell = named('Logout', z.strictObject({ revocation: tokenRevocation }))
const PROBLEMS = ['not-found', 'login-not-offered', 'store-missing', 'store-lost'] as const

/** Logins of people, for connections that act for them. */
export const loginRoutes: readonly Route[] = [
  look({
    path: '/v1/connections/{name}/logins',
    summary: 'Every login of a connection, without what was given for it',
    role: 'viewer',
    params,
    query: z.strictObject(paging),
    response: list,
    problems: ['not-found', 'login-not-offered'],
    handle: ({ params: { name }, query }, ports) =>
      pageOf(deskOf(name, ports).list().map(loginView), ({ id }) => id, query),
  }),
  look({
    method: 'POST',
    path: '/v1/connections/{name}/login',
    summary: 'Begin a login: answers where to go with a browser',
    role: 'admin',
    params,
    body: wish,
    response: begun,
    problems: [...PROBLEMS, 'login-failed'],
    async handle({ params: { name }, body: { caller, paste }, operator }, ports) {
      const desk = deskOf(name, ports)
      storeOf(ports)
      if (!ports.links.isOpen) throw new AdminProblem('login-failed', { detail: NO_URL })
      const redirectUri = ports.links.callback(name)
      await told(async () => desk.placeOf(caller))
      // Somebody would consent, and nobody could act by it.
      if (desk.isByCaller && caller !== undefined && proofOf(caller, ports) === undefined)
        throw fieldInvalid('caller', knownCallers(ports))
      if (!paste) {
        const url = ports.links.link({ connection: name, caller, by: operator.name })
        return { url, redirectUri, expiresAt: iso(ports.clock.now() + LINK_MS) }
      }
      const holder = holderOf(operator.name)
      const { url, state, expiresAt } = await told(() => desk.begin({ caller, redirectUri, holder }))
      return { url, redirectUri, state, expiresAt: iso(expiresAt) }
    },
  }),
  change({
    method: 'POST',
    path: '/v1/connections/{name}/login/finish',
    summary: 'Finish a login that was begun with `paste`, by the same operator',
    role: 'admin',
    params,
    body: ending,
    response: login,
    action: 'login.add',
    problems: [...PROBLEMS, 'login-failed', 'sealing-key-missing'],
    async handle({ params: { name }, body: { state, answer, caller }, operator }, ports) {
      const desk = deskOf(name, ports)
      const by = { holder: holderOf(operator.name), by: operator.name }
      const made = await told(() => desk.finish(answerIn(answer, state), by))
      const found = desk.list().find(({ login: { id } }) => id === made.id)
      const view = loginView(found ?? { caller, login: made, state: 'ok' })
      return { answer: view, effects: [{ subject: subjectOf(name, view.caller), after: view }] }
    },
  }),
  change({
    method: 'POST',
    path: '/v1/connections/{name}/logout',
    summary: 'Forget a login, at once, and tell the authorization server; the answer says what that has done about it',
    role: 'admin',
    params,
    body: ended,
    response: farewell,
    action: 'login.remove',
    isTaking: true,
    problems: [...PROBLEMS, 'login-failed'],
    async handle({ params: { name }, body: { caller }, operator }, ports) {
      const desk = deskOf(name, ports)
      storeOf(ports)
      const gone = await told(() => desk.logout(caller))
      if (!gone) throw new AdminProblem('not-found', { detail: 'There is no such login.' })
      const { login } = gone
      const before = loginView({ caller, login, state: login.isAlive ? 'ok' : 'needs-login' })
      const answer = async () => ({ revocation: await revocationTold({ ...gone, caller }, operator, ports) })
      return { answer, effects: [{ subject: subjectOf(name, caller), before }] }
    },
  }),
]

const LINK_MS = 3_600_000
const NO_URL =
  'Nobody can come back from the authorization server: add "url" to "admin" in the settings, where browsers reach this door.'

function holderOf(operator: string): string {
  return JSON.stringify(['operator', operator])
}

/** The whole address, or the code alone, which then is of the login that was begun. */
function answerIn(text: string, state: string): URLSearchParams {
  const url = URL.parse(text.trim())
  if (!url || !/^https?:$/.test(url.protocol)) return new URLSearchParams({ code: text.trim(), state })
  const { searchParams } = url
  if (searchParams.get('state') === state) return searchParams
  const detail = 'This is the answer to another login: paste the address that the browser ends at.'
  throw new AdminProblem('login-failed', { detail })
}

/** Its problems are in words for whoever logs in. */
async function told<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    throw cause instanceof Problem ? new AdminProblem('login-failed', { detail: cause.reason, cause }) : cause
  }
}

function deskOf(name: string, ports: AdminPorts): LoginDesk {
  const desk = ports.desks().get(name)
  if (desk) return desk
  const { connections } = ports.declared()
  if (!connections.has(name)) throw new AdminProblem('not-found', { detail: knownConnections(connections.keys()) })
  throw new AdminProblem('login-not-offered')
}

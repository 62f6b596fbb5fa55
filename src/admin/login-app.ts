import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { Hono } from 'hono'
import { getCookie } from 'hono/cookie'
import { identityOfCaller } from '../core/holdings.ts'
import { Problem } from '../core/problem.ts'
import type { LoginDesk } from '../credentials/login/desk.ts'
import { byCaller, type GivenTicket, type LoginTicket } from './login-links.ts'
import { htmlOf, type LoginPage, STYLE } from './login-page.ts'
import { loginView, subjectOf } from './login-view.ts'
import type { AdminPorts } from './ports.ts'
import { PROTECTIONS } from './refusal.ts'
import { holdingsOf } from './store-of.ts'

const STYLE_DIGEST = createHash('sha256').update(STYLE).digest('base64')
const FIELDS = {
  ...PROTECTIONS,
  'Content-Security-Policy': `default-src 'none'; style-src 'sha256-${STYLE_DIGEST}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`,
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Content-Type': 'text/html; charset=utf-8',
}
const COOKIE_S = 600

/**
 * Where people log in, by a link that names whom for, and where the authorization server sends them back to. A login
 * that was begun in one browser is finished in that one alone: another's answer, slipped in as a link, has no cookie.
 */
export function loginApp(ports: AdminPorts): Hono {
  const app = new Hono()
  app.get('/:name', async ({ req }) => begin(req.param('name'), req.query('ticket'), ports))
  app.get('/:name/callback', async (context) => {
    const { req } = context
    const answer = new URL(req.url).searchParams
    const cookie = getCookie(context, cookieName(answer.get('state') ?? ''))
    return finish(req.param('name'), answer, { cookie, ports })
  })
  return app
}

async function begin(connection: string, text: string | undefined, ports: AdminPorts): Promise<Response> {
  const desk = ports.desks().get(connection)
  if (!desk) return page(404, NOBODY)
  const ticket = text === undefined ? undefined : ports.links.read(text, connection)
  if (!ticket || isOfAnother(ticket, desk, ports))
    return page(text === undefined ? 200 : 403, byCommand(connection, desk, text !== undefined))
  const cookie = randomBytes(32).toString('base64url')
  const redirectUri = ports.links.callback(connection)
  try {
    const wish = { caller: ticket.caller, redirectUri, holder: holderOf(cookie, ticket) }
    const { url, state } = await desk.begin(wish)
    const value = `${cookie}.${Buffer.from(JSON.stringify(ticket)).toString('base64url')}`
    const secure = redirectUri.startsWith('https:') ? '; Secure' : ''
    // Lax: the authorization server sends the browser back from another site.
    const set = `${cookieName(state)}=${value}; HttpOnly; SameSite=Lax; Path=/login/${encodeURIComponent(connection)}; Max-Age=${COOKIE_S}${secure}`
    return page(200, consent(ticket, url), { 'Set-Cookie': set })
  } catch (error) {
    return failure(error, ports)
  }
}

interface Finish {
  readonly cookie: string | undefined
  readonly ports: AdminPorts
}

async function finish(connection: string, answer: URLSearchParams, { cookie = '', ports }: Finish): Promise<Response> {
  const desk = ports.desks().get(connection)
  if (!desk) return page(404, NOBODY)
  const [secret = '', said = ''] = cookie.split('.')
  const ticket = ticketIn(said)
  // The holder is made of both, so that whoever changes what the cookie says is another.
  const holder = ticket && holderOf(secret, ticket)
  if (!ticket || holder === undefined || !desk.isOpen(answer.get('state') ?? '', holder)) return page(403, ELSEWHERE)
  if (ports.links.isSpent(ticket) || isOfAnother(ticket, desk, ports))
    return page(403, byCommand(connection, desk, true))
  if (ports.isAuditFull()) return page(503, UNRECORDABLE)
  const { caller, by } = ticket
  const record = recorder(ports, { connection, caller, by })
  try {
    const login = await desk.finish(answer, { holder, by })
    ports.links.spend(ticket)
    record(loginView({ caller, login, state: 'ok' }), undefined)
    return page(200, done(ticket))
  } catch (error) {
    record(undefined, error instanceof Problem ? 'login-failed' : 'internal-error')
    return failure(error, ports)
  }
}

function recorder({ change, clock }: AdminPorts, { connection, caller, by }: LoginTicket) {
  return (after: object | undefined, code: string | undefined) =>
    change({
      time: new Date(clock.now()).toISOString(),
      id: randomUUID(),
      operator: by,
      proof: 'login-link',
      action: 'login.add',
      subject: subjectOf(connection, caller),
      before: undefined,
      after,
      code,
    })
}

/** Given to a caller that was removed since: it could log in for the next one of its name. */
function isOfAnother(ticket: GivenTicket, desk: LoginDesk, ports: AdminPorts): boolean {
  const { caller, by } = ticket
  if (caller === undefined || desk.placeOf(caller).identity !== identityOfCaller(caller)) return false
  const stored = holdingsOf(ports).callers.find(({ name }) => name === caller)
  if (stored) return stored.createdAt > ports.links.givenAt(ticket)
  return by === byCaller(caller) && ports.declared().proofOf(caller) === undefined
}

function holderOf(cookie: string, { caller, by, id, until }: GivenTicket): string {
  return JSON.stringify(['browser', cookie, caller ?? null, by, id, until])
}

function ticketIn(said: string): GivenTicket | undefined {
  try {
    const ticket: unknown = JSON.parse(Buffer.from(said, 'base64url').toString())
    const isTicket = typeof ticket === 'object' && ticket !== null && 'by' in ticket && typeof ticket.by === 'string'
    return isTicket ? (ticket as GivenTicket) : undefined
  } catch {
    return undefined
  }
}

/** One for each login, so that two at once are not in each other's way. */
function cookieName(state: string): string {
  return `sallyport-login-${createHash('sha256').update(state).digest('hex').slice(0, 16)}`
}

function page(status: number, said: LoginPage, more: Readonly<Record<string, string>> = {}): Response {
  return new Response(htmlOf(said), { status, headers: { ...FIELDS, ...more } })
}

function failure(error: unknown, ports: AdminPorts): Response {
  if (!(error instanceof Problem)) ports.onFault(randomUUID(), error)
  const reason =
    error instanceof Problem ? error.reason : 'Something went wrong that nobody foresaw; the log has the rest.'
  return page(error instanceof Problem ? 409 : 500, { title: 'The login did not succeed', lines: [reason] })
}

function consent({ connection, caller, by }: LoginTicket, href: string): LoginPage {
  const { host } = new URL(href)
  const who = caller === undefined ? 'every caller that is granted this connection' : `the caller "${caller}"`
  return {
    title: `Log in for ${connection}`,
    lines: [
      `You are about to let ${who} act as you at the connection "${connection}", by way of this Sallyport.`,
      `This link was made for: ${by}. Go on only if you have asked for it yourself: whoever sent it to you would act in your name.`,
    ],
    link: { href, text: `Go on to ${host}` },
  }
}

function done({ connection, caller }: LoginTicket): LoginPage {
  const who = caller === undefined ? '' : ` for "${caller}"`
  return {
    title: 'Logged in',
    lines: [`The connection "${connection}" can be used now${who}. You may close this page.`],
  }
}

function byCommand(connection: string, desk: LoginDesk, isWrong: boolean): LoginPage {
  const whose = desk.identity === 'shared' ? '' : ' --caller NAME'
  return {
    title: `Log in for ${connection}`,
    lines: [
      ...(isWrong
        ? ['This link has ended: it is good for one login, for an hour, and until Sallyport is started again.']
        : []),
      'An operator begins a login by this command:',
    ],
    command: `sallyport login ${connection}${whose}`,
  }
}

const NOBODY: LoginPage = { title: 'Nothing to log in for', lines: ['No connection of that name takes logins.'] }
const ELSEWHERE: LoginPage = {
  title: 'Not begun in this browser',
  lines: [
    'This answer belongs to a login that was not begun in this browser, or was finished already, or more than ten minutes ago.',
    'If you have begun it at a terminal, copy the address of this page, and paste it there.',
  ],
}
const UNRECORDABLE: LoginPage = {
  title: 'Not now',
  lines: ['The login could not be recorded, so it is not done. Begin it anew once the audit has room.'],
}

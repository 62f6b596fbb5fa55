import { Problem } from './core/problem.ts'
import type { Credential } from './credentials/credential.ts'
import type { Errand, Neighbour } from './credentials/tools.ts'
import { toBlockList } from './forms/network.ts'
import { watchNonces } from './gate/nonce.ts'
import type { Connection } from './gate/snapshot.ts'
import type { Injected, Outgoing } from './injections/injection.ts'
import { emptied, slotsHold } from './injections/slot.ts'
import { exchange, type IssuerAnswer, type IssuerRoute } from './oauth/exchange.ts'
import type { References } from './secrets/reference.ts'
import type { ConnectionSettings } from './settings/schema.ts'
import type { Dialer } from './wire/dial.ts'
import { nameKey } from './wire/fields.ts'
import { trustOf } from './wire/trust.ts'

interface Ways {
  readonly references: References
  readonly dialer: Dialer
  /** Whether an operator has switched a connection off. */
  isDisabled(connection: string): boolean
}

/** The upstream of a connection, for sources of other connections; the checks of the settings see to it that it has an exact host. */
export function neighbourOf(settings: ConnectionSettings, connection: Connection, ways: Ways): Neighbour {
  const { hosts, basePath = '', tls, allowPrivate, limits } = settings
  const host = hosts.find((one) => !one.startsWith('*.')) ?? ''
  const base = `${connection.upstream.origin(host)}${basePath}`
  const route: IssuerRoute = {
    dialer: ways.dialer,
    trust: trustOf(tls.ca && ways.references.file(tls.ca)),
    allowPrivate: toBlockList(allowPrivate),
    timeoutMs: limits.connectTimeoutMs,
  }
  const send = (errand: Errand, credential: Credential | undefined) =>
    sendWithNonce(errand, { base, route, connection, credential })
  return {
    host,
    async ask(errand, purpose) {
      if (ways.isDisabled(connection.name))
        throw new Problem('credential-unavailable', { reason: `connection ${connection.name} is switched off` })
      const { supply } = connection
      // Whoever mints for all has no purpose, and gets none of what one caller alone may have.
      const credential = await supply.obtain(purpose)
      const { answer, isForNonce } = await send(errand, credential)
      const isRejected = answer.status === 401 && !isForNonce
      const other = isRejected && credential ? await supply.rejected(credential, purpose) : undefined
      const last = other ? (await send(errand, other)).answer : answer
      const { behind, isGood } = other ?? credential ?? {}
      return { answer: last, ...(behind && { behind }), isGood }
    },
  }
}

interface Sending {
  readonly base: string
  readonly route: IssuerRoute
  readonly connection: Connection
  readonly credential: Credential | undefined
}

interface Sent {
  readonly answer: IssuerAnswer
  /** It was refused for want of a nonce, and nothing is wrong with the token. */
  readonly isForNonce: boolean
}

/** Once more where the nonce that has come along is all that was wanted: nothing was done then. @see RFC 9449 section 9 */
async function sendWithNonce(errand: Errand, sending: Sending): Promise<Sent> {
  const first = await sendWatched(errand, sending)
  return first.isForNonce ? sendWatched(errand, sending) : first
}

async function sendWatched(errand: Errand, sending: Sending): Promise<Sent> {
  const { credential, base } = sending
  const nonces = credential && watchNonces(credential, new URL(base).origin)
  const answer = await sendOnce(errand, sending)
  const { status, challenges = [], dpopNonce } = answer
  const shown = dpopNonce === undefined ? [] : ['dpop-nonce', dpopNonce]
  const fields = [...challenges.flatMap((challenge) => ['www-authenticate', challenge]), ...shown]
  return { answer, isForNonce: nonces?.(status, fields) ?? false }
}

/** Injects last, into slots that are empty: as with the request of a caller. */
function sendOnce(errand: Errand, { base, route, connection, credential }: Sending): Promise<IssuerAnswer> {
  const { method, path, headers, body, signal } = errand
  const [pathname = '', ...rest] = path.split('?')
  const query = rest.length === 0 ? '' : `?${rest.join('?')}`
  const fields = Object.entries({
    ...headers,
    ...(body !== undefined && { 'content-type': 'application/json' }),
  }).flat()
  const url = `${base}${pathname}`
  const sent = injected({ fields, query, method, url, found: () => [] }, connection, credential)
  const whole = new URL(`${url}${sent.query}`)
  return exchange(route, { url: whole, method, headers: toRecord(sent.fields), body, signal })
}

function injected(outgoing: Outgoing, { injection }: Connection, credential: Credential | undefined): Injected {
  if (!injection || !credential) return outgoing
  const inSlot = slotsHold(injection)
  const fields = outgoing.fields.filter((_, at, all) => !inSlot(nameKey(all[at - (at % 2)] ?? '')))
  return injection.inject({ ...outgoing, ...emptied(injection, { fields, query: outgoing.query }) }, credential)
}

function toRecord(fields: readonly string[]): Record<string, string> {
  const rows = fields.flatMap((name, at) => (at % 2 === 0 ? [[name, fields[at + 1] ?? ''] as const] : []))
  return Object.fromEntries(rows)
}

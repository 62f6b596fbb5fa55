import { Problem } from '../core/problem.ts'
import { parseJsonObject } from '../wire/json-object.ts'
import type { IssuerAnswer } from './exchange.ts'
import { IssuerRefusal, OutcomeUnseen } from './refusal.ts'

/** Longest time, ms, for which an issuer's Retry-After is believed. */
export const RETRY_AFTER_CAP_MS = 600_000

/** Registered codes after which asking again ends the same way. @see RFC 6749 section 5.2, RFC 8707 section 2 */
const LASTING_ERRORS = new Set([
  'access_denied',
  'invalid_client',
  'invalid_grant',
  'invalid_request',
  'invalid_scope',
  'invalid_target',
  'unauthorized_client',
  'unsupported_grant_type',
  // RFC 7009 section 2.2.1
  'unsupported_token_type',
])
/** Of the proof of possession, and not of what it was shown with. @see RFC 9449 section 5 */
const PROOF_ERRORS = new Set(['use_dpop_nonce', 'invalid_dpop_proof'])
/** What GitHub and Slack say in place of a registered code, both in an answer 200. */
const OWN_CODES: Readonly<Record<string, string>> = {
  bad_client_secret: 'invalid_client',
  bad_refresh_token: 'invalid_grant',
  bad_verification_code: 'invalid_grant',
  code_already_used: 'invalid_grant',
  incorrect_client_credentials: 'invalid_client',
  invalid_client_id: 'invalid_client',
  invalid_code: 'invalid_grant',
  invalid_refresh_token: 'invalid_grant',
}
/** Of a token that is to be revoked, and is none any more: where RFC 7009 says 200, Google says this. @see RFC 6750 section 3.1 */
const TOKEN_ERRORS = new Set(['invalid_token'])
const PASSING_ERRORS = new Set(['server_error', 'slow_down', 'temporarily_unavailable'])
const LONGEST_S = 1e9
const MAX_CODES = 4

/** The members of a token answer that we use, in the form RFC 6749 section 5.1 gives them. */
export interface TokenFields {
  readonly access_token: string
  readonly token_type: string
  /** Seconds. */
  readonly expires_in?: number
  readonly scope?: string
  readonly refresh_token?: string
  /** Seconds; no standard has it, and many have it. */
  readonly refresh_token_expires_in?: number
  readonly issued_token_type?: string
}

type Members = ReadonlyMap<string, unknown>

/** What an answer is read by. */
export interface Reading {
  /** Who answered, for messages. */
  readonly host: string
  /** Ms since the epoch, for a Retry-After that is a date. */
  readonly now: number
}

interface TokenReading extends Reading {
  /** Types of token that can be used, lower case. */
  readonly types: readonly string[]
}

/**
 * What an answer of a token endpoint says, whatever dress it came in. Reasons name the status and a registered error
 * code, and nothing else of the answer.
 * @throws Problem `credential-unavailable` for 408, 429, 5xx; `credential-failed` for all other refusals and for
 * answers that make no sense, which may be tried again soon
 */
export function readTokenAnswer(answer: IssuerAnswer, { types, ...reading }: TokenReading): TokenFields {
  const members = unlessRefused(answer, reading)
  const { status } = answer
  const { host } = reading
  if ((status !== 200 && status !== 201) || !members)
    throw senseless(host, `an answer ${status} that is not a JSON object`)
  return tokenFields(members, host, types)
}

/**
 * Reads the answer to a revocation. Whether there was such a token is not told, and does not matter: there is none now.
 * @throws Problem as `readTokenAnswer` does
 * @see RFC 7009 section 2.2
 */
export function readRevocationAnswer(answer: IssuerAnswer, reading: Reading): void {
  try {
    unlessRefused(answer, reading)
  } catch (error) {
    if (!(error instanceof IssuerRefusal && TOKEN_ERRORS.has(error.error))) throw error
  }
}

/** @throws Problem for every answer that is a refusal, or a "not now" */
function unlessRefused(answer: IssuerAnswer, { host, now }: Reading): Members | undefined {
  const { status } = answer
  if (status >= 300 && status < 400) {
    throw new Problem('credential-failed', { reason: `${host} answered ${status}: redirects are not followed` })
  }
  const members = parseJsonObject(answer.body)
  const error = errorOf(members)
  if (isPassing(status) || PASSING_ERRORS.has(error)) throw unavailable(answer, error, host, now)
  if (status >= 400 || error !== '') throw refused(status, error, host, codesOf(members))
  return members
}

/** Ms, or undefined when there is none that can be read. At most ten minutes. @see RFC 9110 section 10.2.3 */
export function parseRetryAfter(text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), RETRY_AFTER_CAP_MS)
}

/** The error code, also of a 200 (GitHub, Slack); '' when there is none. */
function errorOf(members: Members | undefined): string {
  const error = members?.get('error') ?? ''
  if (typeof error !== 'string') return 'unreadable'
  return (Object.hasOwn(OWN_CODES, error) && OWN_CODES[error]) || error
}

/** Numbers are no text of an issuer's; a few of them say enough. */
function codesOf(members: Members | undefined): number[] {
  const codes = members?.get('error_codes')
  return Array.isArray(codes) ? codes.filter((code) => Number.isSafeInteger(code) && code > 0).slice(0, MAX_CODES) : []
}

function isPassing(status: number): boolean {
  return status >= 500 || status === 429 || status === 408
}

function unavailable(answer: IssuerAnswer, error: string, host: string, now: number): Problem {
  const ms = parseRetryAfter(answer.retryAfter, now)
  const reason = `${host} answered ${answer.status}${registered(error)}`
  return new Problem('credential-unavailable', {
    reason,
    ...(ms !== undefined && { retryAfter: Math.ceil(ms / 1000) }),
  })
}

function refused(status: number, error: string, host: string, codes: readonly number[]): Problem {
  const reason = `${host} answered ${status}${registered(error)}`
  const isOfProof = PROOF_ERRORS.has(error)
  const lasts = (status === 401 && !isOfProof) || LASTING_ERRORS.has(error)
  const remedy = remedyFor(error)
  // Section 5.2: 401 says that the client is not known, also where nothing else does.
  const code = status === 401 && known(error) === '' && !isOfProof ? 'invalid_client' : known(error)
  return new IssuerRefusal(code, { reason, codes, remedy, ...(!lasts && { retryAfter: 1 }) })
}

const THERE = 'with what is registered there'
/** What an operator is to change. Of `invalid_grant` each source knows itself what it means. */
const REMEDIES: Readonly<Record<string, string>> = {
  access_denied: 'a policy there forbids it',
  invalid_client: `compare clientId, its secret or key, and clientAuth ${THERE}`,
  invalid_request: 'compare clientAuth, scope and tokenParams with what it documents',
  invalid_scope: `compare scope ${THERE}`,
  invalid_target: `compare audience or resource ${THERE}`,
  unauthorized_client: 'allow the client this grant type there',
  unsupported_grant_type: 'it has no such grant type: use another kind of credential',
}

function remedyFor(error: string): string | undefined {
  return Object.hasOwn(REMEDIES, error) ? REMEDIES[error] : undefined
}

function registered(error: string): string {
  const code = known(error)
  return code === '' ? '' : ` ${code}`
}

/** An unknown code is an issuer's text like any other. */
function known(error: string): string {
  return KNOWN.some((errors) => errors.has(error)) ? error : ''
}

const KNOWN = [LASTING_ERRORS, PASSING_ERRORS, PROOF_ERRORS, TOKEN_ERRORS]

function tokenFields(members: Members, host: string, types: readonly string[]): TokenFields {
  const accessToken = members.get('access_token')
  if (typeof accessToken !== 'string' || !/^[\x20-\x7e]+$/.test(accessToken)) {
    throw senseless(host, 'an access_token that is missing or not printable ASCII')
  }
  return {
    access_token: accessToken,
    token_type: tokenType(members, host, types),
    ...expiresIn(members.get('expires_in'), host),
    ...textIn(members, 'scope'),
    ...textIn(members, 'refresh_token'),
    ...refreshEnd(members),
    ...textIn(members, 'issued_token_type'),
  }
}

/** RFC 6749 section 7.1: a token of a type that is not understood must not be used. */
function tokenType(members: Members, host: string, types: readonly string[]): string {
  const type = String(members.get('token_type')).toLowerCase()
  if (types.includes(type)) return type
  throw senseless(host, `a token_type that is not ${types.map((name) => TYPE_NAMES[name] ?? name).join(' or ')}`)
}

const TYPE_NAMES: Readonly<Record<string, string>> = { bearer: 'Bearer', dpop: 'DPoP', n_a: 'N_A' }

/** A member that is a text; null, an empty one and anything else are as good as none. */
function textIn<N extends string>(members: Members, name: N): { readonly [K in N]?: string } {
  const value = members.get(name)
  // TypeScript widens a computed name.
  return typeof value === 'string' && value !== '' ? ({ [name]: value } as { readonly [K in N]: string }) : {}
}

/** A number, or a string of one ("3600", "3600s"); none when it is null or empty. */
function expiresIn(value: unknown, host: string): { expires_in?: number } {
  if (value === undefined || value === null || value === '') return {}
  const seconds = typeof value === 'string' ? Number.parseFloat(value) : value
  if (typeof seconds !== 'number' || Number.isNaN(seconds)) throw senseless(host, 'an expires_in that is not a number')
  return { expires_in: Math.min(Math.max(seconds, 0), LONGEST_S) }
}

/** Google's and Microsoft's name, and Keycloak's; what is no number is as good as none, and nought means no end (Keycloak). */
function refreshEnd(members: Members): { refresh_token_expires_in?: number } {
  const value = Number(members.get('refresh_token_expires_in') ?? members.get('refresh_expires_in'))
  return value > 0 ? { refresh_token_expires_in: Math.min(value, LONGEST_S) } : {}
}

function senseless(host: string, what: string): Problem {
  return new OutcomeUnseen('credential-failed', { reason: `${host} sent ${what}`, retryAfter: 1 })
}

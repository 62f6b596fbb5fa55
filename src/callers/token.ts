import type { Evidence } from '../core/ask.ts'
import type { Secret } from '../core/secret.ts'
import { parseJsonObject } from '../wire/json-object.ts'

/** A JWT as it was shown: taken apart, and not yet believed. */
export interface Token {
  readonly secret: Secret
  readonly header: Members
  readonly claims: Members
}

/** Members of a JSON object, each named once. */
export type Members = ReadonlyMap<string, unknown>

/** As much as fits into a head. */
const MAX_CHARS = 16_384
/** JWS compact serialisation; `ey` is how `{"` begins in base64url. An empty signature is read, and then refused. */
const COMPACT = /^(e[A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]*$/

/** The one proof that was shown, where it may be a token: two at once may name two callers. */
export function onlyKeyOf({ keys, unreadable }: Evidence): Secret | undefined {
  return keys.length === 1 && !unreadable ? keys[0]?.key : undefined
}

/**
 * Takes a JWT apart. Undefined: it is none. A text: it is one, and this is wrong with its form.
 * @see RFC 7515 section 3.1, RFC 7519 section 7.2
 */
export function readToken(secret: Secret): Token | string | undefined {
  const [header, body] = partsOf(secret)
  if (header === undefined || body === undefined) return undefined
  const claims = membersOf(body)
  return claims ? { secret, header, claims } : 'its claims are not one JSON object with each name once'
}

/** Whether a proof is a token at all, whoever issued it. */
export function isToken(secret: Secret): boolean {
  return partsOf(secret)[0] !== undefined
}

function partsOf(secret: Secret): [Members | undefined, string | undefined] {
  const text = secret.reveal()
  const [, header = '', body] = (text.length <= MAX_CHARS && COMPACT.exec(text)) || []
  const members = header === '' ? undefined : membersOf(header)
  return [members?.has('alg') ? members : undefined, body]
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function membersOf(part: string): Members | undefined {
  try {
    return parseJsonObject(UTF8.decode(Buffer.from(part, 'base64url')))
  } catch {
    return undefined
  }
}

import { faultOfIssuerUrl } from '../forms/issuer-url.ts'
import { parseJsonObject } from '../wire/json-object.ts'
import { type Route, requestOnce } from '../wire/request-once.ts'
import { type KeySet, readJwks } from './jwks.ts'

/** Where the keys of an issuer are, and how to get there. */
export interface KeyPlace {
  /** Compared with the metadata's own letter by letter, final slash included. */
  readonly issuer: string
  /** Where the settings name it; else the metadata of the issuer do. */
  readonly url: string | undefined
  readonly route: Route
  /** http:// may be read. */
  readonly plaintext: boolean
  /** Sent to where the settings point to, and to that origin alone. */
  readonly authorization: (() => string) | undefined
}

/** 64 KiB would do for most; some issuers add a chain of certificates to each key. */
const MAX_BYTES = 262_144

/**
 * Keys have a type of their own, and whoever takes plain JSON alone gets 406 from the API server of Kubernetes, which serves
 * them as no other: seen of 1.36. Most others call them plain JSON, as metadata are.
 * @see RFC 7517 section 8.5.1
 */
const ACCEPTED = 'application/jwk-set+json, application/json'

/** Fetches the keys as they are now. @throws NoReply, Error in words */
export async function fetchKeys(place: KeyPlace, signal: AbortSignal): Promise<KeySet> {
  const url = new URL(place.url ?? (await discover(place, signal)))
  const body = await get(place, url, signal)
  if (body === undefined) throw new Error(`${url.host} has no keys at ${url.pathname}`)
  const keys = readJwks(body)
  if (typeof keys === 'string') throw new Error(`what ${url.host} sent for its keys ${keys}`)
  return keys
}

/** @see OpenID Connect Discovery 1.0 section 4, RFC 8414 section 3 */
async function discover(place: KeyPlace, signal: AbortSignal): Promise<string> {
  for (const url of wellKnown(new URL(place.issuer))) {
    const body = await get(place, url, signal)
    if (body !== undefined) return jwksUriIn(body, place, url.host)
  }
  throw new Error(`${new URL(place.issuer).host} publishes no metadata: use jwks: { url: URL }`)
}

function wellKnown({ origin, pathname }: URL): URL[] {
  const path = pathname.replace(/\/$/, '')
  return [
    new URL(`${origin}${path}/.well-known/openid-configuration`),
    new URL(`${origin}/.well-known/oauth-authorization-server${path}`),
  ]
}

function jwksUriIn(body: string, { issuer, plaintext }: KeyPlace, host: string): string {
  const metadata = parseJsonObject(body)
  if (metadata?.get('issuer') !== issuer)
    throw new Error(`the metadata of ${host} are not those of the issuer, spelled as the settings spell it`)
  const url = metadata.get('jwks_uri')
  if (typeof url !== 'string' || faultOfIssuerUrl(url, { plaintext }) !== undefined)
    throw new Error(`the metadata of ${host} name no place of keys that may be used`)
  return url
}

/** The body; undefined where there is nothing. */
async function get(place: KeyPlace, url: URL, signal: AbortSignal): Promise<string | undefined> {
  const headers = { accept: ACCEPTED, ...authorizationFor(url, place) }
  const reply = await requestOnce(place.route, { url, method: 'GET', headers, signal, maxBytes: MAX_BYTES })
  if (reply.status === 200) return reply.body
  if (reply.status === 404 || reply.status === 405 || reply.status === 410) return undefined
  throw new Error(`${url.host} answered ${reply.status} when asked for its keys`)
}

/** Metadata may point anywhere; our own token goes nowhere that the settings do not name. */
function authorizationFor({ origin }: URL, { issuer, url, authorization }: KeyPlace): Record<string, string> {
  const isNamed = origin === new URL(url ?? issuer).origin
  return authorization && isNamed ? { authorization: authorization() } : {}
}

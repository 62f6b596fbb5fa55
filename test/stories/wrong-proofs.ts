import { type RawAnswer, sendRaw } from '../support/raw-client.ts'
import { claimsAt, type SigningKey, signToken } from '../support/tokens.ts'

/** Of the tokens of `job`. */
export const ISSUER = 'https://issuer.test'

/** Settings of a caller that any token of the issuer proves; `crm.read` lets it ask by GET. `jwks`: path of its keys. */
export function jobSettings(jwks: string): object {
  const scopes = { 'crm.read': { methods: ['GET'] } }
  return { kind: 'jwt', issuer: ISSUER, audience: 'sallyport', jwks: { file: jwks }, claims: { sub: '*' }, scopes }
}

/** An issuer whose keys nobody gives. */
export const AWAY = 'https://away.test'

/** Settings of a caller of that issuer. `port`: closed. */
export function awaySettings(port: number): object {
  const jwks = { url: `https://away.test:${port}/keys` }
  return { kind: 'jwt', issuer: AWAY, audience: 'sallyport', jwks, claims: { sub: '*' } }
}

/** A token of that issuer as one field of a raw request. */
export async function tokenField(signer: SigningKey, claims: object): Promise<string> {
  const usual = { iss: ISSUER, aud: 'sallyport', scope: 'crm.read' }
  const token = await signToken(signer, claimsAt(Date.now(), { ...usual, ...claims }))
  return `Proxy-Authorization: Bearer ${token}\r\n`
}

/** Asks with a wrong key until it is too often. The answer comes from the flood: a moment later there is room again. */
export async function askTooOften(address: string, key: string): Promise<RawAnswer> {
  const wrong = `GET http://api.crm.test/ HTTP/1.1\r\nHost: a\r\nProxy-Authorization: Bearer ${key}\r\n\r\n`
  const { text, closed } = await sendRaw(address, wrong.repeat(6_000), { until: /"too-many-failures"/ })
  const [, answer = ''] = /(HTTP\/1\.1 429 [\s\S]*?\}\n)/.exec(text) ?? []
  return { text: answer, closed, status: Number(answer.slice(9, 12)) }
}

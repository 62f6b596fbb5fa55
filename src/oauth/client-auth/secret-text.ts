import type { LongLived, Secret } from '../../core/secret.ts'
import { unfitProof } from '../refusal.ts'

/** For HTTP Basic: form-encoded first, as RFC 6749 section 2.3.1 says, or as they are for servers that do not decode. */
export type BasicEncoding = 'rfc6749' | 'raw'

/**
 * The value of `Authorization` by which a client shows its secret.
 * @throws Problem `credential-failed` when the secret cannot be sent
 * @see RFC 6749 section 2.3.1
 */
export function basicOf(clientId: string, secret: LongLived, encoding: BasicEncoding): string {
  const encode = encoding === 'raw' ? (text: string) => text : formEncode
  const pair = `${encode(clientId)}:${encode(printable(secret))}`
  return `Basic ${Buffer.from(pair).toString('base64')}`
}

/**
 * The client secret as it is sent. What the issuer would call a wrong secret is told here, with its place.
 * @throws Problem `credential-failed`
 */
export function printable({ name, secret }: LongLived): string {
  const fault = faultOfSecretText(secret)
  if (fault === undefined) return secret.reveal()
  throw unfitProof(`the client secret of ${name} ${fault}`)
}

/**
 * Why no client can show this as its secret, and what to do: a stray line end, say, or the byte order mark of an
 * editor. Undefined: it can.
 * @see RFC 6749 appendix A.2, which says *VSCHAR
 */
export function faultOfSecretText(secret: Secret): string | undefined {
  const text = secret.reveal()
  if (text === '') return 'is empty: write the secret there'
  if (/^[\x20-\x7e]+$/.test(text)) return undefined
  return 'has a line end or another character outside of printable ASCII in it, which no issuer takes: write the secret alone'
}

/**
 * Leaves `-_.~` alone, which the library's own encoder does not, and servers that do not decode then refuse
 * (oauth4webapi#148, #199). A blank is %20: form decoders and plain percent decoders agree on that.
 */
function formEncode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
}

import { Problem } from '../../core/problem.ts'
import type { Secret } from '../../core/secret.ts'

/** For HTTP Basic: form-encoded first, as RFC 6749 section 2.3.1 says, or as they are for servers that do not decode. */
export type BasicEncoding = 'rfc6749' | 'raw'

/**
 * The value of `Authorization` by which a client shows its secret.
 * @throws Problem `credential-failed` when the secret cannot be sent
 * @see RFC 6749 section 2.3.1
 */
export function basicOf(clientId: string, secret: Secret, encoding: BasicEncoding): string {
  const encode = encoding === 'raw' ? (text: string) => text : formEncode
  const pair = `${encode(clientId)}:${encode(printable(secret))}`
  return `Basic ${Buffer.from(pair).toString('base64')}`
}

/**
 * RFC 6749 appendix A.2: *VSCHAR. A stray line end or a byte order mark of an editor is told here, not by the issuer.
 * @throws Problem `credential-failed`
 */
export function printable(secret: Secret): string {
  const text = secret.reveal()
  if (/^[\x20-\x7e]+$/.test(text)) return text
  throw new Problem('credential-failed', {
    reason:
      'the client secret is empty or holds a character outside of printable ASCII: check the file for stray bytes',
  })
}

/**
 * Leaves `-_.~` alone, which the library's own encoder does not, and servers that do not decode then refuse
 * (oauth4webapi#148, #199). A blank is %20: form decoders and plain percent decoders agree on that.
 */
function formEncode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
}

import type { ClientAuth } from 'oauth4webapi'
import { Problem } from '../core/problem.ts'
import type { Secret } from '../core/secret.ts'

/** How a client shows its secret to a token endpoint. */
export interface ClientAuthStyle {
  /** `header`: HTTP Basic. `body`: client_id and client_secret as parameters. `header-and-body`: both at once. */
  readonly clientAuth: 'header' | 'body' | 'header-and-body'
  /** For HTTP Basic: form-encoded first, as RFC 6749 section 2.3.1 says, or as they are for servers that do not decode. */
  readonly basicEncoding: 'rfc6749' | 'raw'
}

/**
 * Client authentication by secret.
 * @throws Problem `credential-failed` when the secret cannot be sent
 * @see RFC 6749 section 2.3.1
 */
export function authenticateBySecret(secret: Secret, { clientAuth, basicEncoding }: ClientAuthStyle): ClientAuth {
  const clientSecret = printable(secret.reveal())
  const encode = basicEncoding === 'raw' ? (text: string) => text : formEncode
  return (_server, { client_id: clientId }, body, headers) => {
    if (clientAuth !== 'body') {
      const pair = `${encode(clientId)}:${encode(clientSecret)}`
      headers.set('authorization', `Basic ${Buffer.from(pair).toString('base64')}`)
    }
    if (clientAuth !== 'header') {
      body.set('client_id', clientId)
      body.set('client_secret', clientSecret)
    }
  }
}

/** RFC 6749 appendix A.2: *VSCHAR. A stray line end or a byte order mark of an editor is told here, not by the issuer. */
function printable(text: string): string {
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

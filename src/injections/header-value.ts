import { Problem } from '../core/problem.ts'

/**
 * Visible ASCII and space, not at the ends. CR or LF would split the header, NUL end it early, and the encoding of
 * anything beyond ASCII is a matter of opinion.
 * @throws Problem `credential-failed`
 * @see RFC 9110 section 5.5
 */
export function headerValue(value: string): string {
  if (/^[!-~](?:[ -~]*[!-~])?$/.test(value)) return value
  throw new Problem('credential-failed', {
    reason: 'the credential has a byte that no header value may have, or is empty',
  })
}

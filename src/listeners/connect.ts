import type { IncomingMessage } from 'node:http'
import type { Asked } from '../gate/trace.ts'
import { parseAuthority } from '../wire/authority.ts'
import { type Fault, judgeHead } from '../wire/framing.ts'

/** Where a tunnel was wanted to, for the record. */
export function targetOfConnect({ url = '' }: IncomingMessage): Pick<Asked, 'target'> {
  const authority = parseAuthority(url)
  return authority ? { target: { kind: 'name', ...authority } } : {}
}

/** What is wrong with a CONNECT, apart from its being one. @see RFC 9110 section 9.3.6 */
export function faultOfConnect(request: IncomingMessage, fields: readonly string[]): Fault | undefined {
  const framing = judgeHead({ fields, httpVersion: request.httpVersion })
  if ('code' in framing) return framing
  if (framing.body !== 'none') return { code: 'request-malformed', reason: 'CONNECT with a body' }
  if (parseAuthority(request.url ?? '')?.port !== undefined) return undefined
  return { code: 'target-malformed', reason: 'CONNECT to something else than HOST:PORT' }
}

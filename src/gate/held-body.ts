import { Readable } from 'node:stream'
import type { Ask } from '../core/ask.ts'
import { Problem } from '../core/problem.ts'
import type { Credential } from '../credentials/credential.ts'
import type { BodyInjection } from '../injections/injection.ts'
import type { Incoming } from '../relay/answer.ts'
import { wholeBody } from '../relay/whole-body.ts'
import type { Connection } from './snapshot.ts'
import type { Stay } from './stay.ts'

/** A body that is here as a whole, because the credential goes into it. */
export interface HeldBody {
  /** The same ask with the credential in it; may be called again, for another try. */
  filled(credential: Credential | undefined): Incoming
}

interface Holding {
  readonly ask: Ask
  readonly incoming: Incoming
  readonly connection: Connection
  readonly stay: Stay
}

/**
 * Reads and judges a body into which a credential goes. Undefined, and nothing is read, where it goes elsewhere.
 * @throws Problem `body-too-large`, `placeholder-misplaced`, `request-timeout`
 */
export function holdBody(holding: Holding): Promise<HeldBody> | undefined {
  const body = holding.connection.injection?.body
  return body && hold(holding, body)
}

async function hold({ ask, incoming, connection, stay }: Holding, body: BodyInjection): Promise<HeldBody> {
  const { limits } = connection.upstream
  body.judgeHead(ask.fields)
  const maxBytes = Math.min(body.maxBytes, limits.maxRequestBytes)
  const cut = new Promise<never>((_resolve, reject) => stay.onCut(reject))
  const whole = await Promise.race([wholeBody(incoming, { maxBytes, timeoutMs: limits.idleTimeoutMs }), cut])
  body.judge(whole)
  return {
    filled(credential) {
      if (!credential) throw new Problem('internal-error', { reason: 'nothing to put into the body' })
      const bytes = body.fill(whole, credential)
      const stream = Readable.from([bytes], { objectMode: false })
      return { framing: { body: 'length', length: bytes.length }, stream, proceed: () => undefined }
    },
  }
}

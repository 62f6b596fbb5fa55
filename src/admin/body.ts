import type { IncomingMessage } from 'node:http'
import { valuesOf } from '../wire/fields.ts'
import { AdminProblem } from './admin-problem.ts'

const MAX_BYTES = 1024 * 1024

/**
 * The JSON of a request; undefined where it has no body at all. Only what says to be JSON is read: a form of a web page
 * cannot say so without asking first, and nobody here answers that question.
 * @throws AdminProblem `content-type-unsupported`, `body-too-large`, `body-malformed`
 */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const fields = request.rawHeaders
  const [length] = valuesOf(fields, 'content-length')
  const isChunked = valuesOf(fields, 'transfer-encoding').length > 0
  if (!isChunked && (length === undefined || length === '0')) return undefined
  if (!isJson(fields)) throw new AdminProblem('content-type-unsupported')
  if (Number(length ?? 0) > MAX_BYTES) throw new AdminProblem('body-too-large')
  return parse(await bytesOf(request))
}

function isJson(fields: readonly string[]): boolean {
  const [type = '', ...others] = valuesOf(fields, 'content-type')
  const isEncoded = valuesOf(fields, 'content-encoding').length > 0
  return others.length === 0 && !isEncoded && /^application\/json(?: *; *charset="?utf-8"?)? *$/i.test(type)
}

/** Counts as it reads: a chunked body does not say how long it is. */
async function bytesOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of request as AsyncIterable<Buffer> /* no encoding is set */) {
      bytes += chunk.length
      if (bytes > MAX_BYTES) throw new AdminProblem('body-too-large')
      chunks.push(chunk)
    }
  } catch (cause) {
    if (cause instanceof AdminProblem) throw cause
    throw new AdminProblem('body-malformed', { detail: 'Send all of the body.', cause })
  }
  return Buffer.concat(chunks)
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    // What the parser says repeats a piece of the body, and that may be a secret.
    throw new AdminProblem('body-malformed')
  }
}

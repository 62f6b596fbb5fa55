import { finished } from 'node:stream'
import { Problem } from '../core/problem.ts'
import type { Incoming } from './answer.ts'

interface Bounds {
  readonly maxBytes: number
  /** For all of it. */
  readonly timeoutMs: number
}

/**
 * A body that has to be read before anything can be done, whole and in memory; everything else here is streamed.
 * @throws Problem `body-too-large`, `request-timeout`, `request-malformed` where it ends early
 */
export async function wholeBody(incoming: Incoming, { maxBytes, timeoutMs }: Bounds): Promise<Buffer> {
  const { framing, stream } = incoming
  if (framing.body === 'none') return Buffer.alloc(0)
  if (framing.body === 'length' && framing.length > maxBytes) throw tooLarge(maxBytes)
  incoming.proceed()
  const chunks: Buffer[] = []
  let bytes = 0
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const timer = setTimeout(
    () => reject(new Problem('request-timeout', { reason: `no end in ${timeoutMs} ms` })),
    timeoutMs,
  )
  const onData = (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > maxBytes) reject(tooLarge(maxBytes))
    else chunks.push(chunk)
  }
  stream.on('data', onData)
  finished(stream, { writable: false }, (error) =>
    error
      ? reject(new Problem('request-malformed', { reason: 'the body ended early' }))
      : resolve(Buffer.concat(chunks)),
  )
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    // Not destroyed: whoever refuses reads the rest away, so that the caller gets to read the refusal.
    stream.off('data', onData)
  }
}

function tooLarge(maxBytes: number): Problem {
  return new Problem('body-too-large', { reason: `more than the ${maxBytes} bytes that fit here` })
}

import { Readable } from 'node:stream'
import type { Incoming } from '../relay/answer.ts'

/** A larger body goes up once, and is nowhere kept. */
const MAX_BYTES = 65_536

/** What has gone up of a body, as long as that is little. */
export interface KeptBody {
  /** The same once more; undefined: not all of it has come, or it was too much to be kept. */
  again(): Incoming | undefined
}

/**
 * Looks on while a body goes up, and holds nothing up. To be called in the same turn in which its stream is read.
 */
export function keepBody({ framing, stream }: Incoming): KeptBody {
  if (framing.body === 'none' || (framing.body === 'length' && framing.length === 0))
    return { again: () => ({ framing, stream: Readable.from([]), proceed: () => undefined }) }
  if (framing.body === 'length' && framing.length > MAX_BYTES) return { again: () => undefined }
  const chunks: Buffer[] = []
  let bytes = 0
  let isWhole = false
  const onData = (chunk: Buffer) => {
    bytes += chunk.length
    chunks.push(chunk)
    if (bytes > MAX_BYTES) drop()
  }
  function drop(): void {
    stream.off('data', onData)
    chunks.length = 0
  }
  stream.on('data', onData)
  stream.once('end', () => (isWhole = bytes <= MAX_BYTES))
  return {
    again() {
      if (!isWhole) return undefined
      const whole = Readable.from([Buffer.concat(chunks)], { objectMode: false })
      return { framing, stream: whole, proceed: () => undefined }
    },
  }
}

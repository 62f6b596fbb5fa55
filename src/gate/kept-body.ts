import { Readable } from 'node:stream'
import type { Incoming } from '../relay/answer.ts'

/** A larger body goes up once, and is nowhere kept. */
const MAX_BYTES = 65_536
/** Of the first room for one whose length is not known: most are short. */
const FIRST_BYTES = 1_024

/** What has gone up of a body, as long as that is little. */
export interface KeptBody {
  /** The same once more; undefined: not all of it has come, it was too much to be kept, or it was forgotten. */
  again(): Incoming | undefined
  /** Nobody will want it again: an answer may go on for hours. */
  forget(): void
}

/**
 * Looks on while a body goes up, and holds nothing up. To be called in the same turn in which its stream is read. The bytes are
 * copied together: kept as they come, a body in chunks of one byte each takes two hundred times its size [Node 26: 13 MB].
 */
export function keepBody({ framing, stream }: Incoming): KeptBody {
  if (framing.body === 'none' || (framing.body === 'length' && framing.length === 0))
    return { again: () => ({ framing, stream: Readable.from([]), proceed: () => undefined }), forget: () => undefined }
  if (framing.body === 'length' && framing.length > MAX_BYTES)
    return { again: () => undefined, forget: () => undefined }
  let room: Buffer | undefined = Buffer.allocUnsafeSlow(FIRST_BYTES)
  let bytes = 0
  let isWhole = false
  const onData = (chunk: Buffer) => {
    const end = bytes + chunk.length
    if (!room || end > MAX_BYTES) return forget()
    if (end > room.length) room = larger(room, bytes, end)
    chunk.copy(room, bytes)
    bytes = end
  }
  function forget(): void {
    stream.off('data', onData)
    room = undefined
  }
  stream.on('data', onData)
  stream.once('end', () => (isWhole = true))
  return {
    again() {
      if (!isWhole || !room) return undefined
      const whole = Readable.from([room.subarray(0, bytes)], { objectMode: false })
      return { framing, stream: whole, proceed: () => undefined }
    },
    forget,
  }
}

function larger(room: Buffer, bytes: number, atLeast: number): Buffer {
  const grown = Buffer.allocUnsafeSlow(Math.min(MAX_BYTES, Math.max(atLeast, room.length * 2)))
  room.copy(grown, 0, 0, bytes)
  return grown
}

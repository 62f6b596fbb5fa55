import { finished, type Readable } from 'node:stream'
import type { Incoming } from './answer.ts'
import { Meter, type UploadBounds } from './meter.ts'

/** What is read of a body that nobody wants any more, to keep the connection; more is not worth it. */
const DRAIN_BYTES = 256 * 1024
/** How long a caller that still sends has to read its answer. */
const DRAIN_MS = 2_000

/**
 * The body of a request, counted on its way up. Undefined where the head announced none: undici would frame an empty
 * stream as chunked. When the way up ends early the caller's stream is only let go: destroying it would take away the
 * connection on which the caller is to be answered.
 */
export function startUpload(incoming: Incoming, bounds: UploadBounds): Meter | undefined {
  const { framing, stream } = incoming
  if (framing.body === 'none' || (framing.body === 'length' && framing.length === 0)) return undefined
  const meter = new Meter(bounds)
  // undici hears of it too, but stops listening before it is done with the stream.
  meter.on('error', () => undefined)
  finished(stream, { writable: false }, (error) => {
    if (error) meter.destroy(error)
  })
  incoming.proceed()
  stream.pipe(meter)
  return meter
}

/**
 * Reads away, within bounds, what a caller still sends after its answer is out. Past them the connection ends, but not
 * before the caller had time to read: a close with bytes unread is a reset, and that may overtake the answer.
 */
export function drainRest(stream: Readable): void {
  if (stream.readableEnded || stream.destroyed) return
  // Unpiping pauses; whoever piped it somewhere is done with it.
  stream.unpipe()
  let left = DRAIN_BYTES
  const timer = setTimeout(() => stream.destroy(), DRAIN_MS).unref()
  finished(stream, { writable: false }, () => clearTimeout(timer))
  stream.on('data', (chunk: Buffer) => {
    left -= chunk.length
    if (left < 0) stream.pause()
  })
  stream.resume()
}

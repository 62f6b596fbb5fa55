import { Transform, type TransformCallback } from 'node:stream'
import { Problem } from '../core/problem.ts'

/** Bounds of an upload. */
export interface UploadBounds {
  readonly maxBytes: number
  /** Ms without a byte. */
  readonly idleMs: number
}

/**
 * Counts the bytes of a request body on their way up. Ends it with `body-too-large` past the limit, and with
 * `request-timeout` when it stops moving, whoever holds it up: a slow caller would keep an upstream's connection for ever.
 */
export class Meter extends Transform {
  readonly #maxBytes: number
  readonly #idle: NodeJS.Timeout
  bytes = 0

  constructor({ maxBytes, idleMs }: UploadBounds) {
    super()
    this.#maxBytes = maxBytes
    const stopped = () =>
      this.destroy(new Problem('request-timeout', { reason: `no byte of the body in ${idleMs} ms` }))
    this.#idle = setTimeout(stopped, idleMs).unref()
  }

  /** The answer moves, and with it the request: a stream that is open both ways may be silent in one direction. */
  stays(): void {
    this.#idle.refresh()
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#idle.refresh()
    this.bytes += chunk.length
    if (this.bytes > this.#maxBytes)
      done(new Problem('body-too-large', { reason: `more than ${this.#maxBytes} bytes` }))
    else done(null, chunk)
  }

  override _flush(done: TransformCallback): void {
    clearTimeout(this.#idle)
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearTimeout(this.#idle)
    done(error)
  }
}

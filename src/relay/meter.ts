import { Transform, type TransformCallback } from 'node:stream'
import { Problem } from '../core/problem.ts'

/** Counts the bytes of a request body on their way up, and ends it with `body-too-large` past the limit. */
export class Meter extends Transform {
  readonly #limit: number
  bytes = 0

  constructor(limit: number) {
    super()
    this.#limit = limit
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.bytes += chunk.length
    if (this.bytes > this.#limit) done(new Problem('body-too-large', { reason: `more than ${this.#limit} bytes` }))
    else done(null, chunk)
  }
}

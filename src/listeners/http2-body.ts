import type { ServerHttp2Stream } from 'node:http2'
import { Readable } from 'node:stream'

/**
 * The body of a request, apart from the stream that carries its answer too: giving up on one must not cost the other. A
 * stream that the caller resets ends like any other in Node, and a body cut short would go upstream as if it were whole.
 */
export class Http2Body extends Readable {
  readonly #stream: ServerHttp2Stream

  constructor(stream: ServerHttp2Stream) {
    super()
    this.#stream = stream
    stream.on('end', () => this.#end())
    stream.on('close', () => this.#end())
  }

  override _read(): void {
    const stream = this.#stream
    if (stream.listenerCount('data') === 0) stream.on('data', (chunk: Buffer) => this.#take(chunk))
    stream.resume()
  }

  /** Nobody reads on: the caller need not send the rest. Its answer still goes out. @see RFC 9113 section 8.1 */
  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.readableEnded && !this.#stream.closed) this.#stream.close()
    done(error)
  }

  #take(chunk: Buffer): void {
    if (!this.push(chunk)) this.#stream.pause()
  }

  #end(): void {
    if (this.destroyed || this.readableEnded) return
    const { aborted, rstCode, readableEnded } = this.#stream
    if (aborted || rstCode !== 0 || !readableEnded) this.destroy(new Error('the caller has reset the stream'))
    else this.push(null)
  }
}

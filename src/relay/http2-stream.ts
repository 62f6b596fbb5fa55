import type { ClientHttp2Stream } from 'node:http2'
import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { Problem } from '../core/problem.ts'
import { failureOfStream } from './failure.ts'

/** The stream on which a request went out, and how long its upstream may keep silent; times in ms. */
export interface StreamTerms {
  /** Opens the stream; throws what node:http2 will not send. */
  open(options: Dispatcher.DispatchOptions, signal: AbortSignal): ClientHttp2Stream
  readonly headersTimeoutMs: number
  readonly bodyTimeoutMs: number
  /** The upstream has kept silent for too long: its connection may be dead. */
  stalled(): void
  /** The whole connection is gone. */
  isCut(): boolean
}

/** One request over HTTP/2, told to its handler as undici tells of one over HTTP/1. */
export class Http2Request implements Dispatcher.DispatchController {
  readonly #handler: Dispatcher.DispatchHandler
  readonly #terms: StreamTerms
  readonly #body: Readable | undefined
  /** Not `close`: that sends END_STREAM before the reset, and a body cut short would look whole. */
  readonly #reset = new AbortController()
  #stream: ClientHttp2Stream | undefined
  #timer: NodeJS.Timeout | undefined
  #isOver = false
  #hasAnswer = false
  rawHeaders: string[] = []
  rawTrailers: string[] = []
  aborted = false
  paused = false
  reason: Error | null = null

  constructor({ body }: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler, terms: StreamTerms) {
    this.#handler = handler
    this.#terms = terms
    this.#body = body instanceof Readable ? body : undefined
  }

  /** Once. */
  send(options: Dispatcher.DispatchOptions): void {
    this.#handler.onRequestStart?.(this, {})
    if (!this.#isOver) this.#guarded(() => this.#open(options))
  }

  pause(): void {
    this.paused = true
    clearTimeout(this.#timer)
    this.#stream?.pause()
  }

  resume(): void {
    if (!this.paused) return
    this.paused = false
    this.#watch(this.#terms.bodyTimeoutMs)
    this.#stream?.resume()
  }

  abort(reason: Error): void {
    if (this.#isOver) return
    this.aborted = true
    this.reason = reason
    this.#fail(reason)
    this.#reset.abort()
  }

  #open(options: Dispatcher.DispatchOptions): void {
    const stream = this.#terms.open(options, this.#reset.signal)
    this.#stream = stream
    // For good: one more error after the end must not end the process.
    stream.on('error', (error) => this.#fail(failureOfStream(stream.rstCode, this.#terms.isCut(), error)))
    stream.on('close', () => this.#fail(failureOfStream(stream.rstCode, this.#terms.isCut())))
    stream.on('headers', (_headers, _flags, raw) => this.#guarded(() => this.#head(raw)))
    stream.on('response', (_headers, _flags, raw) => this.#guarded(() => this.#answer(stream, raw)))
    stream.on('trailers', (_headers, _flags, raw) => (this.rawTrailers = raw))
    endAtEndOfStreamAlone(stream)
    this.#watch(this.#terms.headersTimeoutMs)
    if (this.#body) this.#upload(this.#body, stream)
  }

  #upload(body: Readable, stream: ClientHttp2Stream): void {
    // A stream where bytes move either way is alive: most of gRPC's long ones are silent in one direction.
    body.on('data', () => this.#timer?.refresh())
    body.once('error', (error) => this.abort(error))
    body.pipe(stream)
  }

  #answer(stream: ClientHttp2Stream, raw: readonly string[]): void {
    this.#hasAnswer = true
    this.#watch(this.#terms.bodyTimeoutMs)
    stream.once('end', () => this.#guarded(() => this.#end(stream)))
    this.#head(raw)
    stream.on('data', (chunk: Buffer) => this.#guarded(() => this.#take(chunk)))
  }

  /** nghttp2 lets through no head that does not begin with `:status`, its only pseudo-field. */
  #head([, status, ...fields]: readonly string[]): void {
    this.rawHeaders = fields
    this.#handler.onResponseStart?.(this, Number(status), {}, '')
  }

  #take(chunk: Buffer): void {
    if (this.#isOver) return
    if (!this.paused) this.#timer?.refresh()
    this.#handler.onResponseData?.(this, chunk)
  }

  #end(stream: ClientHttp2Stream): void {
    if (this.#isOver) return
    this.#leave()
    // The answer is whole, and nobody there reads the rest of the request.
    if (!stream.writableEnded) {
      this.#body?.destroy()
      this.#reset.abort()
    }
    this.#handler.onResponseEnd?.(this, {})
  }

  #fail(error: Error): void {
    if (this.#isOver) return
    this.#leave()
    this.#handler.onResponseError?.(this, error)
  }

  #leave(): void {
    this.#isOver = true
    clearTimeout(this.#timer)
    if (this.#stream) this.#body?.unpipe(this.#stream)
  }

  #watch(ms: number): void {
    clearTimeout(this.#timer)
    if (!this.paused) this.#timer = setTimeout(() => this.#late(), ms).unref()
  }

  #late(): void {
    this.#terms.stalled()
    const reason = this.#hasAnswer ? 'the answer stood still' : 'no head of an answer in time'
    this.abort(new Problem('upstream-timeout', { reason }))
  }

  /** What a handler throws ends its own request, as with undici. */
  #guarded(step: () => void): void {
    try {
      step()
    } catch (error) {
      this.abort(error instanceof Error ? error : new Error(String(error)))
    }
  }
}

/**
 * Node ends the readable side at END_STREAM, and again when the stream is closed, so that an answer cut off by a reset
 * with NO_ERROR or CANCEL looks whole. Here it has no 'end' then, only 'close'.
 */
function endAtEndOfStreamAlone(stream: ClientHttp2Stream): void {
  const push = stream.push
  let isWhole = false
  stream.push = (chunk: unknown, encoding?: BufferEncoding) => {
    if (chunk === null && !stream.closed) isWhole = true
    if (chunk !== null || isWhole) return push.call(stream, chunk, encoding)
    // Not at once: Node goes on with the stream after this, and an exception there would end the process.
    process.nextTick(() => stream.destroy())
    return false
  }
}

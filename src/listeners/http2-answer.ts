import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import type { Readable } from 'node:stream'
import { Problem } from '../core/problem.ts'
import type { RefusingAnswer } from '../gate/exchange.ts'
import { drainRest } from '../relay/upload.ts'
import { valuesOf } from '../wire/fields.ts'
import { refusalMessage } from '../wire/refusal.ts'

/** How long the end of an answer may wait for a caller that does not read. */
const LINGER_MS = 75_000
/** Statuses whose answers have no body; Node ends the stream at them. */
const BODILESS = new Set([204, 205, 304])

interface Head {
  readonly status: number
  readonly fields: readonly string[]
}

/** The answer on one stream of HTTP/2. */
export class Http2Answer implements RefusingAnswer {
  readonly #stream: ServerHttp2Stream
  readonly #isHead: boolean
  readonly #body: Readable
  /** Waits for its first byte, or for the end: an answer of trailers alone is one HEADERS frame in gRPC. */
  #head: Head | undefined
  #flush: NodeJS.Immediate | undefined
  #trailers: OutgoingHttpHeaders = {}
  #hasBody = true
  #isOver = false
  #isGone = false
  #isRefused = false
  #drain: () => void = () => undefined
  #gone: () => void = () => undefined

  /** `body`: of the request that it answers. */
  constructor(stream: ServerHttp2Stream, method: string, body: Readable) {
    this.#stream = stream
    this.#isHead = method === 'HEAD'
    this.#body = body
    // When it fails, whoever reads it hears of that; nobody need.
    body.on('error', () => undefined)
    // A write that finds the stream reset; 'close' comes next and says so.
    stream.on('error', () => undefined)
    stream.on('aborted', () => this.#leave())
    stream.on('close', () => this.#leave())
    stream.on('drain', () => this.#drain())
    stream.on('wantTrailers', () => this.#guarded(() => stream.sendTrailers(this.#trailers)))
  }

  get hasStarted(): boolean {
    return this.#head !== undefined || this.#stream.headersSent
  }

  hint(fields: readonly string[]): void {
    const links = valuesOf(fields, 'link')
    if (links.length > 0 && this.#isOpen) this.#stream.additionalHeaders({ ':status': 103, link: [...links] })
  }

  start(status: number, _statusText: string, fields: readonly string[]): void {
    // Node throws at these, and then once more at the refusal. @see RFC 9110 section 15
    if (status > 599) throw new Problem('upstream-malformed', { reason: `the upstream answered ${status}` })
    this.#head = { status, fields }
    this.#flush = setImmediate(() => this.#sendHead(false))
  }

  write(chunk: Buffer): boolean {
    this.#sendHead(false)
    return !this.#isOpen || !this.#hasBody || this.#stream.write(chunk)
  }

  end(trailers: readonly string[] = []): void {
    this.#trailers = asObject(trailers)
    this.#sendHead(trailers.length === 0)
    this.#isOver = true
    if (!this.#isOpen) return
    this.#stream.setTimeout(LINGER_MS, () => this.#stream.close(constants.NGHTTP2_CANCEL))
    this.#stream.end()
  }

  break(): void {
    this.#isOver = true
    clearImmediate(this.#flush)
    // INTERNAL_ERROR. Not `close`: that sends END_STREAM before the reset, and what is cut short would look whole.
    if (this.#isOpen) this.#stream.destroy(new Error('the answer is broken'))
  }

  onDrain(listener: () => void): void {
    this.#drain = listener
  }

  onGone(listener: () => void): void {
    this.#gone = listener
    if (this.#isGone || this.#isRefused) listener()
  }

  refuse(problem: Problem, id: string): number | undefined {
    if (this.hasStarted || !this.#isOpen) {
      if (!this.#isRefused) this.break()
      return undefined
    }
    this.#isRefused = true
    const { status, fields, body } = refusalMessage(problem, id, 'origin')
    this.start(status, '', fields)
    this.write(Buffer.from(body))
    this.end()
    drainRest(this.#body)
    return status
  }

  get #isOpen(): boolean {
    return !this.#stream.closed && !this.#stream.destroyed
  }

  #sendHead(endStream: boolean): void {
    clearImmediate(this.#flush)
    if (!this.#head || !this.#isOpen || this.#stream.headersSent) return
    const { status, fields } = this.#head
    this.#hasBody = !this.#isHead && !BODILESS.has(status)
    const ends = endStream || !this.#hasBody
    const head = [':status', String(status), ...lowerCased(fields)]
    this.#guarded(() => this.#stream.respond(head, { endStream: ends, waitForTrailers: !ends }))
  }

  /** Nobody would catch what Node throws at a head or trailers that it will not send: it would end the process. */
  #guarded(step: () => void): void {
    try {
      step()
    } catch (error) {
      this.#stream.destroy(error instanceof Error ? error : undefined)
    }
  }

  #leave(): void {
    clearImmediate(this.#flush)
    if (this.#isOver || this.#isGone) return
    this.#isGone = true
    this.#gone()
  }
}

function lowerCased(fields: readonly string[]): string[] {
  return fields.map((part, at) => (at % 2 === 0 ? part.toLowerCase() : part))
}

/** Trailers go to Node as an object alone. */
function asObject(fields: readonly string[]): OutgoingHttpHeaders {
  const values = new Map<string, string[]>()
  for (let at = 0; at < fields.length; at += 2) {
    const name = (fields[at] ?? '').toLowerCase()
    values.set(name, [...(values.get(name) ?? []), fields[at + 1] ?? ''])
  }
  return Object.fromEntries(values)
}

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Problem } from '../core/problem.ts'
import type { RefusingAnswer } from '../gate/exchange.ts'
import { valuesOf } from '../wire/fields.ts'
import { http } from '../wire/node-http.ts'
import { type Challenge, refusalMessage } from '../wire/refusal.ts'

/** What of a refused body is read to keep the connection; more is not worth it. */
const DRAIN_BYTES = 256 * 1024
const DRAIN_MS = 2_000

interface Options {
  /** Of the ask that it answers. */
  readonly id: string
  readonly challenge: Challenge
  isDraining(): boolean
}

/** The answer of an HTTP/1 door. */
export class HttpAnswer implements RefusingAnswer {
  readonly #response: ServerResponse
  readonly #options: Options
  #drain: () => void = () => undefined
  #gone: () => void = () => undefined
  #flush: NodeJS.Immediate | undefined
  #isRefused = false
  /** Nothing that comes after the request is answered: this answer says so, and closes. */
  isLast = false

  constructor(response: ServerResponse, options: Options) {
    this.#response = response
    this.#options = options
    response.once('close', () => {
      if (!response.writableFinished) this.#gone()
    })
    // A write that finds the caller gone; 'close' comes next and says so.
    response.on('error', () => undefined)
  }

  get hasStarted(): boolean {
    return this.#response.headersSent
  }

  /** The end of the request has not arrived yet. */
  get isReading(): boolean {
    return !this.#response.req.complete
  }

  /** The answer has not left yet. */
  get isInProgress(): boolean {
    return !this.#response.writableFinished && !this.#response.destroyed
  }

  onceOver(listener: () => void): void {
    this.#response.once('close', listener)
  }

  /** Its request has turned out malformed in the body: refuses, and has whoever relays it stop. */
  spoil(problem: Problem): void {
    this.isLast = true
    this.refuse(problem, this.#options.id)
    this.#gone()
  }

  hint(fields: readonly string[]): void {
    const links = valuesOf(fields, 'link')
    if (links.length > 0 && this.#response.req.httpVersion === '1.1')
      this.#response.writeEarlyHints({ link: [...links] })
  }

  start(status: number, statusText: string, fields: readonly string[]): void {
    this.#head(status, statusText, fields)
    // A head that waits for its first byte would hold back an event stream that has nothing to say yet. A short body of
    // known length is right behind its head, and one write is half the cost of two.
    // Not by flushHeaders, which makes UTF-8 of the bytes of a field that are no ASCII [Node 26.10].
    if (!isShort(fields)) this.#flush = setImmediate(() => this.#response.write(NOTHING))
  }

  write(chunk: Buffer): boolean {
    this.#unschedule()
    const response = this.#response
    if (response.write(chunk)) return true
    response.once('drain', () => this.#drain())
    return false
  }

  end(): void {
    this.#unschedule()
    this.#response.end()
  }

  break(): void {
    this.#unschedule()
    const { socket } = this.#response
    // Behind the answers to earlier requests, it has none yet.
    if (!socket) this.#response.once('socket', () => this.break())
    // A clean FIN is how HTTP/1.0 ends a body of unknown length: only a reset tells the caller that there was more. A
    // socket that is shutting down cannot be reset: libuv refuses, and Node then never closes it, nor says so.
    else if (socket.writable && isTcp(socket)) socket.resetAndDestroy()
    else socket.destroy()
  }

  onDrain(listener: () => void): void {
    this.#drain = listener
  }

  onGone(listener: () => void): void {
    this.#gone = listener
    if (this.#isRefused || (this.#response.destroyed && !this.#response.writableFinished)) listener()
  }

  refuse(problem: Problem, id: string): number | undefined {
    const response = this.#response
    if (response.headersSent || response.destroyed) {
      if (!response.writableFinished && !this.#isRefused) this.break()
      return undefined
    }
    this.#isRefused = true
    const { status, fields, body } = refusalMessage(problem, id, this.#options.challenge)
    const request = response.req
    const { socket } = request
    const isRead = request.complete || discard(request, response)
    if (!isRead) this.isLast = true
    this.#head(status, '', fields)
    // Node would close both ways, and while the caller still sends that is a reset: the refusal could be lost on its way.
    if (this.isLast && isRead && !request.complete) response.write(body, () => socket.end())
    else response.end(body)
    return status
  }

  #head(status: number, statusText: string, fields: readonly string[]): void {
    const response = this.#response
    response.sendDate = valuesOf(fields, 'date').length === 0
    if (this.#options.isDraining()) this.isLast = true
    const all = this.isLast ? [...fields, 'Connection', 'close'] : [...fields]
    response.writeHead(status, REASON_PHRASE.test(statusText) ? statusText : (http.STATUS_CODES[status] ?? ''), all)
  }

  #unschedule(): void {
    if (this.#flush === undefined) return
    clearImmediate(this.#flush)
    this.#flush = undefined
  }
}

/** An upstream may write others, at which Node throws, and then once more at the refusal. @see RFC 9112 section 4 */
const REASON_PHRASE = /^[\t\x20-\x7e\x80-\xff]+$/
const SHORT_BYTES = 16 * 1024
const NOTHING = Buffer.alloc(0)

function isShort(fields: readonly string[]): boolean {
  const [length] = valuesOf(fields, 'content-length')
  return length !== undefined && Number(length) <= SHORT_BYTES
}

/**
 * Reads away the body of a refused request, so that the caller, who may be in the middle of sending it, gets to read the
 * answer; within bounds. False: the caller waits for 100-continue, and whether it sends a body now is its own guess.
 */
function discard(request: IncomingMessage, response: ServerResponse): boolean {
  if (request.headers.expect !== undefined) return false
  let left = DRAIN_BYTES
  const { socket } = request
  const timer = setTimeout(() => socket.destroy(), DRAIN_MS).unref()
  request.on('data', (chunk: Buffer) => {
    left -= chunk.length
    if (left < 0) response.on('finish', () => socket.destroy())
    if (left < 0 && (response.writableFinished || !response.writableEnded)) socket.destroySoon()
  })
  request.once('close', () => clearTimeout(timer))
  request.resume()
  return true
}

/** A Unix socket has no reset, and its remoteAddress is undefined. */
function isTcp(socket: Socket): boolean {
  return socket.remoteAddress !== undefined
}

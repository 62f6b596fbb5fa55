import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Dispatcher } from 'undici'
import { Problem } from '../core/problem.ts'
import type { Answer, Incoming } from './answer.ts'
import { isSilentClose, problemOf } from './failure.ts'
import type { Meter } from './meter.ts'
import { relayedFields, relayedTrailers } from './response-head.ts'
import type { Sender } from './sender.ts'
import { onSocketOf } from './socket-of.ts'
import { drainRest, startUpload } from './upload.ts'

/** A request ready to be sent: every field is final, framing excepted. */
export interface Outbound {
  readonly sender: Sender
  readonly method: string
  /** Path and query. */
  readonly path: string
  readonly fields: readonly string[]
  readonly incoming: Incoming
  readonly maxRequestBytes: number
  /** Ms that either body may stand still. */
  readonly idleTimeoutMs: number
  readonly relayChallenge: boolean
  /** Tells, at once or later, that it is to be cut, and why. */
  readonly onCut?: ((listener: (problem: Problem) => void) => void) | undefined
  /** Asked with the final status, and the fields as they came: false leaves the answer unread, so that the ask can be sent again. */
  wants(status: number, fields: readonly string[]): boolean | Promise<boolean>
}

/**
 * How it ended. `unwanted`: `wants` said no, nothing went to the caller. `silent-close`: a connection that had been
 * used before closed, and not a byte came back. `broken`: the upstream failed after the answer had begun. `gone`: the
 * caller left.
 */
export interface Outcome {
  readonly ended: 'complete' | 'unwanted' | 'silent-close' | 'broken' | 'gone'
  readonly status: number
  readonly bytesIn: number
  readonly bytesOut: number
  readonly upstreamAddress?: string | undefined
  /** The version of HTTP that the upstream was spoken to in. */
  readonly protocol?: '1.1' | '2' | undefined
  readonly problem?: Problem
  /** What a reader of the record should know, where nothing failed for certain. */
  readonly note?: string
}

/** An upstream that sends more of these than anyone needs is not going to send an answer. */
const MAX_INFORMATIONAL = 32

/**
 * Sends one request and streams the answer back, both ways under back-pressure. Resolves when the last byte has passed.
 * @throws Problem of an upstream that failed before anything went to the caller
 */
export function relay(outbound: Outbound, answer: Answer): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const body = startUpload(outbound.incoming, { maxBytes: outbound.maxRequestBytes, idleMs: outbound.idleTimeoutMs })
    const handler = new Relaying(outbound, answer, body, { resolve, reject })
    const { method, path, fields } = outbound
    // undici takes a flat list of names and values, keeps case, order and repeats, and does not write to it.
    const headers = fields as string[]
    outbound.sender.dispatch({ method, path, headers, body: body ?? null }, handler)
  })
}

interface Settle {
  readonly resolve: (outcome: Outcome) => void
  readonly reject: (problem: Problem) => void
}

class Relaying implements Dispatcher.DispatchHandler {
  readonly #outbound: Outbound
  readonly #answer: Answer
  readonly #body: Meter | undefined
  readonly #settle: Settle
  #controller: Dispatcher.DispatchController | undefined
  #informational = 0
  #status = 0
  #bytesOut = 0
  #isGone = false
  #cutBy: Problem | undefined
  #isOver = false
  #isUnwanted = false
  #socket: Socket | undefined
  #upstreamAddress: string | undefined
  #protocol: Outcome['protocol']
  #isReused = false
  #stall: NodeJS.Timeout | undefined

  constructor(outbound: Outbound, answer: Answer, body: Meter | undefined, settle: Settle) {
    this.#outbound = outbound
    this.#answer = answer
    this.#body = body
    this.#settle = settle
    answer.onDrain(() => this.#drained())
    answer.onGone(() => this.#abandon())
    outbound.onCut?.((problem) => this.#cut(problem))
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#cutBy) return controller.abort(this.#cutBy)
    if (this.#isGone) return controller.abort(new Error('the caller has gone'))
    onSocketOf((socket, isReused) => {
      this.#socket = socket
      this.#upstreamAddress = socket.remoteAddress
      this.#protocol = socket instanceof TLSSocket && socket.alpnProtocol === 'h2' ? '2' : '1.1'
      this.#isReused = isReused
    })
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    statusText?: string,
  ): void {
    const fields = textOf(controller.rawHeaders)
    if (status < 200) return this.#hint(status, fields)
    this.#status = status
    const head = () => this.#answer.start(status, statusText ?? '', this.#relayed(fields))
    const verdict = this.#outbound.wants(status, fields)
    if (typeof verdict === 'boolean') return verdict ? head() : this.#leaveUnread(controller)
    controller.pause()
    verdict.then(
      (isWanted) => (isWanted ? this.#goOn(head) : this.#leaveUnread(controller)),
      (error) => controller.abort(asError(error)),
    )
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytesOut += chunk.length
    this.#body?.stays()
    if (this.#answer.write(chunk)) return
    controller.pause()
    // While paused undici's own timeout stands still, and the caller may never read again.
    this.#stall = setTimeout(() => controller.abort(STALLED), this.#outbound.idleTimeoutMs).unref()
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    // undici takes a reset for the end of a body that only the end of its connection delimits.
    if (this.#socket?.errored) return this.#broken(problemOf(this.#socket.errored))
    this.#answer.end(relayedTrailers(textOf(controller.rawTrailers)))
    this.#settle.resolve(this.#outcome('complete'))
    if (this.#body) drainRest(this.#outbound.incoming.stream)
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: unknown): void {
    clearTimeout(this.#stall)
    this.#body?.destroy()
    if (this.#isOver) return
    if (this.#isGone) return this.#settle.resolve(this.#outcome('gone'))
    if (this.#isUnwanted) return this.#settle.resolve(this.#outcome('unwanted'))
    if (this.#isReused && this.#status === 0 && this.#informational === 0 && isSilentClose(error)) {
      return this.#settle.resolve({ ...this.#outcome('silent-close'), problem: problemOf(error) })
    }
    const problem = problemOf(error)
    if (!this.#answer.hasStarted) return this.#settle.reject(problem)
    this.#broken(problem)
  }

  #drained(): void {
    clearTimeout(this.#stall)
    this.#controller?.resume()
  }

  #broken(problem: Problem): void {
    this.#answer.break()
    this.#settle.resolve({ ...this.#outcome('broken'), problem })
  }

  #hint(status: number, fields: readonly string[]): void {
    this.#informational++
    if (this.#informational > MAX_INFORMATIONAL)
      throw new Problem('upstream-malformed', { reason: 'too many interim answers' })
    if (status !== 103) return
    try {
      this.#answer.hint(relayedFields(fields, { challenge: false }))
    } catch {
      // A hint is help and no more: one that cannot be passed on must not cost the answer.
    }
  }

  #relayed(fields: readonly string[]): string[] {
    return relayedFields(fields, { challenge: this.#outbound.relayChallenge })
  }

  #goOn(head: () => void): void {
    if (this.#controller?.aborted) return
    try {
      head()
      this.#controller?.resume()
    } catch (error) {
      this.#controller?.abort(asError(error))
    }
  }

  #leaveUnread(controller: Dispatcher.DispatchController): void {
    this.#isUnwanted = true
    controller.abort(new Error('the answer is not wanted'))
  }

  #abandon(): void {
    this.#isGone = true
    this.#controller?.abort(new Error('the caller has gone'))
  }

  /** One that still waits for a connection is over at once, and aborted when it gets one. */
  #cut(problem: Problem): void {
    this.#cutBy = problem
    if (this.#controller) return this.#controller.abort(problem)
    this.#isOver = true
    this.#body?.destroy()
    this.#settle.reject(problem)
  }

  #outcome(ended: Outcome['ended']): Outcome {
    const bytesIn = this.#body?.bytes ?? 0
    const upstreamAddress = this.#upstreamAddress
    return { ended, status: this.#status, bytesIn, bytesOut: this.#bytesOut, upstreamAddress, protocol: this.#protocol }
  }
}

const STALLED = new Problem('request-timeout', { reason: 'the caller has stopped reading the answer' })

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}

function textOf(raw: unknown): string[] {
  // undici gives HTTP/1 header lines as Buffers, HTTP/2 ones as strings.
  return Array.isArray(raw)
    ? raw.map((part: Buffer | string) => (typeof part === 'string' ? part : part.toString('latin1')))
    : []
}

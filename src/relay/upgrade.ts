import { createHash } from 'node:crypto'
import type { ClientRequest, IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import httpProxy from 'http-proxy'
import { Problem } from '../core/problem.ts'
import { http } from '../wire/node-http.ts'
import { problemOf } from './failure.ts'
import type { Outcome } from './http.ts'
import { relayedFields } from './response-head.ts'

/** A WebSocket handshake ready to be sent. */
export interface Handshake {
  readonly path: string
  readonly fields: readonly string[]
  /** The dialled and verified way up; ours to close from here on. */
  readonly upstream: Duplex & { readonly remoteAddress?: string | undefined }
  /** The caller's socket, and what it had sent behind the handshake. */
  readonly caller: CallerSocket
  readonly head: Buffer
  /** Answers the caller with a refusal, at once and whole. Returns the status, undefined when it was too late. */
  refuse(problem: Problem): number | undefined
  /** The handshake is over, and frames begin. */
  switched?(): void
  /** For the time until the upstream has answered. */
  readonly timeoutMs: number
  /** As for `Outbound`; without it a challenge is dropped. */
  readonly relayChallenge?: boolean
  /** Told of the answer to the handshake, as it came. */
  answered?(status: number, fields: readonly string[]): void
  /** Tells, at once or later, that it is to be cut, and why. */
  onCut?(listener: (problem: Problem) => void): void
}

/** A Duplex that a net.Socket is, and knows some more about itself where it is one. */
type CallerSocket = Duplex & {
  readonly bytesRead?: number
  readonly bytesWritten?: number
  readonly remoteAddress?: string | undefined
  resetAndDestroy?(): unknown
}

/** How long a peer has to close after the other one did. */
const LINGER_MS = 1_000

/**
 * http-proxy 1.18.1 is unmaintained since 2020. It is used for this one hand-over, which it does well, and hardened
 * from outside by its documented events. What each line mends is named beside it, and pinned by a test.
 */
const proxy = httpProxy.createProxyServer({ toProxy: true })
proxy.on('proxyReqWs', (outgoing, request) => handovers.get(request)?.harden(outgoing))

const handovers = new WeakMap<object, Handover>()

/**
 * Sends a WebSocket handshake, and pipes the two sockets once the upstream has switched. Resolves when both are closed,
 * or when the upstream has answered something else than 101 and that answer has passed. It refuses by itself, because
 * http-proxy ends the caller's socket right after an error; the outcome then has the problem and the status.
 */
export function relayUpgrade(handshake: Handshake): Promise<Outcome> {
  return new Promise((resolve) => {
    const handover = new Handover(handshake, resolve)
    // http-proxy looks for it in this spelling alone, and drops the caller without a word where it is not.
    const headers = { ...toHeaders(handshake.fields), upgrade: 'websocket' }
    const request = { method: 'GET', url: handshake.path, headers }
    handovers.set(request, handover)
    // http-proxy reads nothing of a request but these three.
    const asRequest = request as unknown as IncomingMessage
    const agent = new OneSocket(handshake.upstream)
    const target = { protocol: 'http:', host: 'upstream', port: 80 }
    handshake.onCut?.((problem) => handover.cut(problem))
    proxy.ws(asRequest, handshake.caller, handshake.head, { target, agent }, (error) => handover.fail(error))
  })
}

/** Gives http.request the socket that our own dialler has connected and verified. */
class OneSocket extends http.Agent {
  readonly #socket: Duplex

  constructor(socket: Duplex) {
    super({ maxSockets: 1 })
    this.#socket = socket
  }

  override createConnection(): Duplex {
    return this.#socket
  }
}

class Handover {
  readonly #handshake: Handshake
  readonly #resolve: (outcome: Outcome) => void
  readonly #upstreamAddress: string | undefined
  #status = 0
  #isOver = false
  #deadline: NodeJS.Timeout | undefined
  /** What had passed before the first byte that counts. */
  #before = { bytesIn: 0, bytesOut: 0 }

  constructor(handshake: Handshake, resolve: (outcome: Outcome) => void) {
    this.#handshake = handshake
    this.#resolve = resolve
    this.#upstreamAddress = handshake.upstream.remoteAddress
  }

  /** Called by http-proxy before its own listeners are set, so ours run first. */
  harden(outgoing: ClientRequest): void {
    const { path, caller, timeoutMs } = this.#handshake
    // urlJoin has made "//" of the path into "/".
    outgoing.path = path
    // A timeout of the socket would begin anew with each interim answer.
    const late = new Problem('upstream-timeout', { reason: 'no answer to the handshake' })
    this.#deadline = setTimeout(() => outgoing.destroy(late), timeoutMs)
    // http-proxy writes the head of the answer as a string, whose bytes are those of the upstream.
    caller.setDefaultEncoding('latin1')
    // http-proxy keeps the upstream socket open when the caller leaves (PR 1559 there).
    const leave = () => outgoing.destroy()
    caller.once('close', leave).once('end', leave)
    if (caller.destroyed || caller.readableEnded) leave()
    outgoing.once('response', () => caller.off('end', leave)).once('upgrade', () => caller.off('end', leave))
    outgoing.on('response', (response) => this.#declined(response))
    outgoing.on('upgrade', (response, upstream: Duplex) => this.#switched(response, upstream))
  }

  /** Before an answer, an error; after it, the end of one of the two sockets. */
  fail(error: unknown): void {
    if (this.#isOver) return
    const { caller } = this.#handshake
    if (this.#status !== 0) this.#finish('broken')
    else if (caller.destroyed || caller.readableEnded) this.#finish('gone')
    else this.#refuse(problemOf(error))
  }

  /** Without a Close frame: it would look as if one of the two peers had said it. */
  cut(problem: Problem): void {
    if (this.#isOver) return
    if (this.#status === 0) return this.#refuse(problem)
    breakOff(this.#handshake.caller)
    this.#finish('broken', problem)
  }

  /** An answer other than 101. http-proxy writes these headers as they are, and the body decoded. */
  #declined(response: IncomingMessage): void {
    this.#handshake.answered?.(response.statusCode ?? 0, response.rawHeaders)
    // The body is no longer chunked, so its end is the end of the connection.
    if (!this.#overwrite(response, ['Connection', 'close'])) return
    this.#status = response.statusCode ?? 0
    this.#countFromHere()
    // http-proxy would leave the caller waiting when the upstream dies in the middle.
    response.on('error', () => undefined)
    response.on('close', () => {
      const { caller } = this.#handshake
      if (response.complete) lingering(caller)
      else breakOff(caller)
      this.#finish(response.complete ? 'complete' : 'broken')
    })
  }

  #switched(response: IncomingMessage, upstream: Duplex): void {
    const { caller, fields, head } = this.#handshake
    this.#handshake.answered?.(101, response.rawHeaders)
    if (!isAccepted(response, fields))
      return this.#refuse(new Problem('upstream-malformed', { reason: 'the upstream switched to something else' }))
    if (!this.#overwrite(response, ['Connection', 'Upgrade', 'Upgrade', 'websocket'])) return
    clearTimeout(this.#deadline)
    this.#status = 101
    this.#handshake.switched?.()
    this.#countFromHere(head.length)
    // The pipes have passed on the end itself; this is for the peer that does not close in return.
    upstream.once('end', () => lingering(caller)).once('close', () => lingering(caller))
    caller.once('end', () => lingering(upstream))
    caller.once('close', () => this.#finish('complete'))
  }

  /** Makes the parsed headers, which http-proxy copies to the caller, the end-to-end ones and these. */
  #overwrite(response: IncomingMessage, own: readonly string[]): boolean {
    const { relayChallenge: challenge = false } = this.#handshake
    try {
      response.headers = toHeaders([...relayedFields(response.rawHeaders, { challenge }), ...own])
      return true
    } catch (error) {
      this.#refuse(problemOf(error))
      return false
    }
  }

  /** http-proxy's own listener comes next and writes the answer: it finds the socket ended, the refusal under way. */
  #refuse(problem: Problem): void {
    const status = this.#handshake.refuse(problem)
    this.#status = status ?? 0
    this.#finish(status === undefined ? 'gone' : 'complete', problem)
  }

  #finish(ended: Outcome['ended'], problem?: Problem): void {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#deadline)
    this.#handshake.upstream.destroy()
    this.#resolve({ ...this.#outcome(ended), ...(problem && { problem }) })
  }

  /** From the next turn on: then http-proxy has written the head. */
  #countFromHere(bytesIn = 0): void {
    const { caller } = this.#handshake
    process.nextTick(() => {
      const { bytesIn: read, bytesOut } = counts(caller)
      this.#before = { bytesIn: read - bytesIn, bytesOut }
    })
  }

  #outcome(ended: Outcome['ended']): Outcome {
    const isRelayed = this.#before.bytesOut > 0
    const now = counts(this.#handshake.caller)
    const bytesIn = isRelayed ? now.bytesIn - this.#before.bytesIn : 0
    const bytesOut = isRelayed ? now.bytesOut - this.#before.bytesOut : 0
    return { ended, status: this.#status, bytesIn, bytesOut, upstreamAddress: this.#upstreamAddress, protocol: '1.1' }
  }
}

function counts({ bytesRead = 0, bytesWritten = 0 }: CallerSocket): { bytesIn: number; bytesOut: number } {
  return { bytesIn: bytesRead, bytesOut: bytesWritten }
}

/** Closes, and does not wait long for what is on its way or for a peer that does not close in return. */
function lingering(socket: Duplex): void {
  socket.end()
  const late = setTimeout(() => socket.destroy(), LINGER_MS).unref()
  socket.once('close', () => clearTimeout(late))
}

/**
 * A clean close would make a whole body of half a one. A Unix socket has no reset, and no remoteAddress; on a socket that
 * is shutting down already a reset does nothing at all, and `close` never comes [Node 26.10].
 */
function breakOff(caller: CallerSocket): void {
  if (caller.writable && caller.remoteAddress !== undefined && caller.resetAndDestroy) caller.resetAndDestroy()
  else caller.destroy()
}

/** @see RFC 6455 section 4.1 */
function isAccepted(response: IncomingMessage, fields: readonly string[]): boolean {
  const key = fields[fields.findIndex((field, at) => at % 2 === 0 && field.toLowerCase() === 'sec-websocket-key') + 1]
  const expected = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
  return (
    response.headers.upgrade?.toLowerCase() === 'websocket' && response.headers['sec-websocket-accept'] === expected
  )
}

/**
 * As an object without a prototype: a field may be called `__proto__` (CVE-2026-21710). Names that differ in case alone
 * share the first spelling, or the last one would displace the others.
 */
function toHeaders(fields: readonly string[]): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = Object.create(null)
  const spellings = new Map<string, string>()
  for (let at = 0; at < fields.length; at += 2) {
    const field = fields[at] ?? ''
    const name = spellings.get(field.toLowerCase()) ?? field
    spellings.set(field.toLowerCase(), name)
    const value = fields[at + 1] ?? ''
    const before = headers[name]
    headers[name] = before === undefined ? value : [before, value].flat()
  }
  return headers
}

import { createHash } from 'node:crypto'
import http, { type ClientRequest, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import httpProxy from 'http-proxy'
import { Problem } from '../core/problem.ts'
import { endToEnd } from '../wire/fields.ts'
import { problemOf } from './failure.ts'
import type { Outcome } from './http.ts'

/** A WebSocket handshake ready to be sent. */
export interface Handshake {
  readonly path: string
  readonly fields: readonly string[]
  /** The dialled and verified way up; ours to close from here on. */
  readonly upstream: Duplex & { readonly remoteAddress?: string | undefined }
  /** The caller's socket, and what it had sent behind the handshake. */
  readonly caller: Duplex & { readonly bytesRead?: number; readonly bytesWritten?: number }
  readonly head: Buffer
  /** Answers the caller with a refusal, at once and whole. */
  refuse(problem: Problem): void
  /** For the time until the upstream has answered. */
  readonly timeoutMs: number
}

/**
 * http-proxy 1.18.1 is unmaintained since 2020. It is used for this one hand-over, which it does well, and hardened from
 * outside by its documented events. What each line mends is named beside it, and pinned by a test.
 */
const proxy = httpProxy.createProxyServer({ toProxy: true })
proxy.on('proxyReqWs', (outgoing, request) => handovers.get(request)?.harden(outgoing))

const handovers = new WeakMap<object, Handover>()

/**
 * Sends a WebSocket handshake, and pipes the two sockets once the upstream has switched. Resolves when both are closed,
 * or when the upstream has answered something else than 101 and that answer has passed.
 * @throws Problem of an upstream that failed before anything went to the caller
 */
export function relayUpgrade(handshake: Handshake): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const handover = new Handover(handshake, resolve, reject)
    const request = { method: 'GET', url: handshake.path, headers: toHeaders(handshake.fields) }
    handovers.set(request, handover)
    // http-proxy reads nothing of a request but these three.
    const asRequest = request as unknown as IncomingMessage
    const agent = new OneSocket(handshake.upstream)
    const target = { protocol: 'http:', host: 'upstream', port: 80 }
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
  readonly #reject: (problem: Problem) => void
  #status = 0
  #isOver = false
  #bytesBefore = { bytesIn: 0, bytesOut: 0 }

  constructor(handshake: Handshake, resolve: (outcome: Outcome) => void, reject: (problem: Problem) => void) {
    this.#handshake = handshake
    this.#resolve = resolve
    this.#reject = reject
  }

  /** Called by http-proxy before its own listeners are set, so ours run first. */
  harden(outgoing: ClientRequest): void {
    const { path, caller, timeoutMs } = this.#handshake
    // urlJoin has made "//" of the path into "/".
    outgoing.path = path
    outgoing.setTimeout(timeoutMs, () =>
      outgoing.destroy(new Problem('upstream-timeout', { reason: 'no answer to the handshake' })),
    )
    // http-proxy keeps the upstream socket open when the caller leaves (PR 1559 there).
    caller.on('close', () => outgoing.destroy())
    outgoing.on('response', (response) => this.#declined(response))
    outgoing.on('upgrade', (response, upstream: Duplex) => this.#switched(response, upstream))
  }

  /** Before the switch, an error; after it, the end of one of the two sockets. */
  fail(error: unknown): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#handshake.upstream.destroy()
    if (this.#status !== 0) return this.#resolve(this.#outcome('broken'))
    if (this.#handshake.caller.destroyed) return this.#resolve(this.#outcome('gone'))
    this.#reject(problemOf(error))
  }

  /** An answer other than 101. http-proxy writes these headers as they are and pipes the body decoded. */
  #declined(response: IncomingMessage): void {
    this.#status = response.statusCode ?? 0
    this.#bytesBefore = counts(this.#handshake.caller)
    // The body is no longer chunked, so its end is the end of the connection.
    overwrite(response, ['Connection', 'close'])
    // http-proxy would leave the caller waiting when the upstream dies in the middle.
    response.on('error', () => this.#handshake.caller.destroy())
    response.on('close', () => this.#finish(response.complete ? 'complete' : 'broken'))
  }

  #switched(response: IncomingMessage, upstream: Duplex): void {
    const { caller } = this.#handshake
    if (!isAccepted(response, this.#handshake.fields)) {
      // http-proxy's own listener comes next and writes its 101: the refusal has to be out, and the socket ended, before.
      this.#handshake.refuse(new Problem('upstream-malformed', { reason: 'the upstream switched to something else' }))
      return this.#finish('broken')
    }
    this.#status = 101
    this.#bytesBefore = counts(caller)
    overwrite(response, ['Connection', 'Upgrade', 'Upgrade', 'websocket'])
    upstream.on('close', () => caller.destroy())
    caller.on('close', () => {
      upstream.destroy()
      this.#finish('complete')
    })
  }

  #finish(ended: Outcome['ended']): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#handshake.upstream.destroy()
    this.#resolve(this.#outcome(ended))
  }

  #outcome(ended: Outcome['ended']): Outcome {
    const { caller, upstream } = this.#handshake
    const now = counts(caller)
    const bytesIn = now.bytesIn - this.#bytesBefore.bytesIn
    const bytesOut = now.bytesOut - this.#bytesBefore.bytesOut
    return { ended, status: this.#status, bytesIn, bytesOut, upstreamAddress: upstream.remoteAddress }
  }
}

function counts({ bytesRead = 0, bytesWritten = 0 }: Handshake['caller']): { bytesIn: number; bytesOut: number } {
  return { bytesIn: bytesRead, bytesOut: bytesWritten }
}

/** Makes the parsed headers, which http-proxy copies to the caller, the end-to-end ones and these. */
function overwrite(response: IncomingMessage, own: readonly string[]): void {
  const clean = toHeaders([...endToEnd(response.rawHeaders, (key) => key === 'proxy-status'), ...own])
  if (own.includes('close'))
    for (const name of Object.keys(clean)) if (name.toLowerCase() === 'content-length') delete clean[name]
  response.headers = clean
}

/** @see RFC 6455 section 4.1 */
function isAccepted(response: IncomingMessage, fields: readonly string[]): boolean {
  const key = fields[fields.findIndex((field, at) => at % 2 === 0 && field.toLowerCase() === 'sec-websocket-key') + 1]
  const expected = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
  return (
    response.headers.upgrade?.toLowerCase() === 'websocket' && response.headers['sec-websocket-accept'] === expected
  )
}

/** As an object without a prototype: a field may be called `__proto__` (CVE-2026-21710). */
function toHeaders(fields: readonly string[]): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = Object.create(null)
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] ?? ''
    const value = fields[at + 1] ?? ''
    const before = headers[name]
    headers[name] = before === undefined ? value : [before, value].flat()
  }
  return headers
}

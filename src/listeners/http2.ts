import { performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream, type ServerOptions } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import { exchange } from '../gate/exchange.ts'
import type { Incoming } from '../relay/answer.ts'
import { valuesOf } from '../wire/fields.ts'
import type { Fault, Framing } from '../wire/framing.ts'
import { Http2Answer } from './http2-answer.ts'
import { Http2Body } from './http2-body.ts'
import { readStreamHead } from './http2-head.ts'
import type { Intake, Unfit } from './intake.ts'
import type { Line } from './line.ts'

const MAX_STREAMS = 100
const STREAM_WINDOW = 128 * 1024
/** A connection without a stream, ms. */
const IDLE_MS = 75_000

/** Every bound is said here, whatever Node's and nghttp2's defaults are. */
const OPTIONS: ServerOptions = {
  settings: {
    enablePush: false,
    enableConnectProtocol: false,
    maxConcurrentStreams: MAX_STREAMS,
    maxHeaderListSize: 16 * 1024,
    initialWindowSize: STREAM_WINDOW,
  },
  maxHeaderListPairs: 200,
  // Streams opened only to be reset (CVE-2023-44487): so many at once, and so many a second after that.
  streamResetBurst: 1_000,
  streamResetRate: 33,
  // Streams beyond maxConcurrentStreams, and frames that are nonsense: empty DATA (CVE-2019-9518), a HEADERS after the
  // end, an update of a window by nothing. nghttp2 itself counts CONTINUATION frames (CVE-2024-27316, CVE-2024-27983).
  maxSessionRejectedStreams: 100,
  maxSessionInvalidFrames: 100,
  // Floods of PING and SETTINGS, whose acknowledgements pile up (CVE-2019-9512, CVE-2019-9515).
  maxOutstandingPings: 10,
  maxSettings: 32,
  // MB. Answers that nobody reads (CVE-2019-9517), and header tables: past it, no more streams.
  maxSessionMemory: 10,
  strictFieldWhitespaceValidation: true,
  // Node would throw at a second ETag, which any upstream can send.
  strictSingleValueFields: false,
}

/** HTTP/2 inside opened tunnels. It parses and answers, as `Http1` does. */
export class Http2 {
  readonly #intake: Intake
  readonly #sessions = new Set<ServerHttp2Session>()

  constructor(intake: Intake) {
    this.#intake = intake
  }

  /** Serves this connection from now on; TLS is done and "h2" is agreed. */
  accept(socket: TLSSocket, line: Line): void {
    if (socket.destroyed) return
    // Only tls.Server says so of its own sockets; node:http2 would wait for it. The types do not have the property.
    Object.assign(socket, { secureConnecting: false })
    const session = performServerHandshake(socket, OPTIONS)
    this.#sessions.add(session)
    // Its streams hear of it by themselves, and nobody else is to blame for what a caller sends.
    session.on('error', () => undefined)
    session.once('close', () => this.#sessions.delete(session))
    // One body that waits for its upstream keeps its own window; the connection's is wide enough for all at once.
    session.once('connect', () => session.destroyed || session.setLocalWindowSize(STREAM_WINDOW * MAX_STREAMS))
    const hold = closeWhenIdle(session)
    session.on('stream', (stream, _headers, _flags, raw) => {
      hold(stream)
      this.#takeIn(stream, raw, line)
    })
  }

  /** No new streams: GOAWAY; sessions with nothing under way close. Idempotent. */
  closeIdle(): void {
    for (const session of this.#sessions) session.close()
  }

  #takeIn(stream: ServerHttp2Stream, raw: readonly string[], line: Line): void {
    const circumstances = { scheme: line.tunnel?.scheme ?? 'https', endsStream: stream.endAfterHeaders }
    const { fault, framing, ...head } = readStreamHead(raw, circumstances)
    const body = new Http2Body(stream)
    const answer = new Http2Answer(stream, head.method, body)
    // Node tells of a stream in the turn after its head: by now it may be reset, and never was an ask.
    if (stream.destroyed || stream.closed) return
    // Beyond the exchange, until the last byte has left: shutdown waits for that.
    this.#intake.count(new Promise((resolve) => stream.once('close', resolve)))
    const taken = this.#intake.take(head, line, fault ?? faultOfExpectation(head.fields))
    if ('fault' in taken) return this.#turnAway(taken, stream, answer)
    const incoming = incomingOf(stream, { body, framing, expects: expectationOf(head.fields) !== undefined })
    this.#intake.count(exchange(taken.ask, incoming, answer, this.#intake.gate))
  }

  /** A caller that asks for another host here needs another connection. @see RFC 9110 section 15.5.20 */
  #turnAway(unfit: Unfit, { session }: ServerHttp2Stream, answer: Http2Answer): void {
    this.#intake.turnAway(unfit, answer)
    if (unfit.fault.code === 'authority-mismatch') session?.close()
  }
}

/** Closes a connection that has had no stream for a while, whatever else it sends; told of each stream. */
function closeWhenIdle(session: ServerHttp2Session): (stream: ServerHttp2Stream) => void {
  const startTimer = () => setTimeout(() => session.close(), IDLE_MS).unref()
  let streams = 0
  let timer = startTimer()
  session.once('close', () => clearTimeout(timer))
  return (stream) => {
    streams++
    clearTimeout(timer)
    stream.once('close', () => {
      streams--
      if (streams === 0 && !session.destroyed) timer = startTimer()
    })
  }
}

function expectationOf(fields: readonly string[]): string | undefined {
  return valuesOf(fields, 'expect')[0]
}

function faultOfExpectation(fields: readonly string[]): Fault | undefined {
  if ((expectationOf(fields) ?? CONTINUE).toLowerCase() === CONTINUE) return undefined
  return { code: 'expectation-failed', reason: 'an expectation other than 100-continue' }
}

const CONTINUE = '100-continue'

interface Body {
  readonly body: Http2Body
  readonly framing: Framing
  readonly expects: boolean
}

function incomingOf(stream: ServerHttp2Stream, { body, framing, expects }: Body): Incoming {
  // An end that nobody reads would keep the stream.
  if (framing.body === 'none') body.resume()
  let isWaiting = expects
  return {
    framing,
    stream: body,
    proceed() {
      if (isWaiting && !stream.headersSent && !stream.closed) stream.additionalHeaders({ ':status': 100 })
      isWaiting = false
    },
  }
}

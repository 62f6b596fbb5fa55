import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Registry } from 'prom-client'
import { Crowd, peerOf } from '../wire/crowd.ts'
import type { Bound } from '../wire/listen.ts'
import { http } from '../wire/node-http.ts'
import { openPlace, type Place } from '../wire/open-place.ts'
import type { PassedSockets } from '../wire/passed-sockets.ts'

interface Options extends Place {
  /** Relative socket paths start here. */
  readonly directory: string
  /** Absent: `/metrics` is not served here. */
  readonly metrics: Registry | undefined
  /** Settings read, doors open, not shutting down. */
  isReady(): boolean
  /** What systemd has opened for this process. */
  readonly passed?: PassedSockets | undefined
}

/**
 * More than any set of probes and scrapers, and few beside the descriptors that callers need. Shared out: somebody else in the
 * network who held them all would keep the kubelet out, which then ends the sidecar.
 */
const MAX_SOCKETS = 64
const IDLE_MS = 5_000
/** Whoever only holds a connection holds it for so long. Node looks every 30 s unless told otherwise. */
const SERVER_OPTIONS: ServerOptions = {
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  connectionsCheckingInterval: 1_000,
}

/**
 * The door of a kubelet and of Prometheus, which come from other machines: it says yes or no, and the metrics where the
 * settings want that. It knows no operator, and nothing of the admin API is behind it.
 */
export class HealthDoor {
  readonly #options: Options
  readonly #server: Server
  readonly #crowd = new Crowd(MAX_SOCKETS)
  #bound: Bound | undefined
  #scrape: Promise<string> | undefined

  constructor(options: Options) {
    this.#options = options
    this.#server = http.createServer(SERVER_OPTIONS, (request, response) => {
      this.#answer(request, response).catch(() => response.destroy())
    })
    // Of a thousand requests in one packet each would be answered, and be work, before the first answer is read.
    this.#server.maxRequestsPerSocket = 1
    // Who reads nothing of an answer keeps its connection for no more than twice that.
    this.#server.timeout = IDLE_MS
    this.#server.on('connection', (socket: Socket) => {
      const peer = peerOf({ address: socket.remoteAddress })
      if (this.#crowd.admit({ socket, peer }) === 'full') socket.destroy()
    })
    this.#server.on('clientError', (_error, socket) => socket.destroy())
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { status, type, body } = await this.#answerTo(request)
    response.shouldKeepAlive = false
    const length = Buffer.byteLength(body)
    response.writeHead(status, { 'Content-Type': type, 'Content-Length': length, 'Cache-Control': 'no-store' })
    response.end(body)
  }

  async #answerTo({ method, url = '' }: IncomingMessage): Promise<Answer> {
    if (method !== 'GET' && method !== 'HEAD') return said(405, 'this door answers GET')
    switch (url) {
      case '/livez':
      // The doors of callers are open before this one: to be answered is the answer.
      case '/startupz':
        return said(200, 'ok')
      case '/readyz':
        return this.#options.isReady() ? said(200, 'ok') : said(503, 'not ready')
      case '/metrics':
        return this.#scraped()
      default:
        return said(404, 'this door has /livez, /readyz, /startupz and /metrics')
    }
  }

  /** However many ask at once, it is the work of one. */
  async #scraped(): Promise<Answer> {
    const { metrics } = this.#options
    if (!metrics) return said(404, 'set health.metrics to true to have them here')
    this.#scrape ??= metrics.metrics().finally(() => (this.#scrape = undefined))
    return { status: 200, type: metrics.contentType, body: await this.#scrape }
  }

  /** Binds; returns the address in the form `host:port` or `unix:path`. */
  async open(): Promise<string> {
    this.#bound = await openPlace(this.#server, this.#options, { ...this.#options, allowNonLoopback: true })
    return this.#bound.address
  }

  async close(): Promise<void> {
    await this.#bound?.release()
    const closed = new Promise<void>((done) => this.#server.close(() => done()))
    this.#server.closeAllConnections()
    await closed
  }
}

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
}

function said(status: number, words: string): Answer {
  return { status, type: 'application/json', body: `${JSON.stringify({ status: words })}\n` }
}

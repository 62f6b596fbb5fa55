import { randomUUIDv7 } from 'node:crypto'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Peer } from '../core/ask.ts'
import { valuesOf } from '../wire/fields.ts'
import type { Bound } from '../wire/listen.ts'
import { http } from '../wire/node-http.ts'
import { openPlace, type Place } from '../wire/open-place.ts'
import type { PassedSockets } from '../wire/passed-sockets.ts'
import type { PeerReader } from '../wire/peer.ts'
import { faultOfSite } from '../wire/site.ts'
import { AdminProblem } from './admin-problem.ts'
import type { Answering } from './answering.ts'
import type { AdminPorts } from './ports.ts'
import { refusalMessage } from './refusal.ts'

interface Options extends Place {
  /** Where relative paths start. */
  readonly directory: string
  /** Names besides its address under which browsers reach it. */
  readonly hostnames?: readonly string[]
  /** Asks the kernel who is at the other end of a Unix socket; absent: nobody is. */
  readonly peers: PeerReader | undefined
  /** What systemd has opened for this process. */
  readonly passed?: PassedSockets | undefined
}

/**
 * The operator's door. It never answers at a data door, and a data door never leads to it. What is behind it is loaded when
 * somebody first asks: most sidecars are never asked, and it is 12 MB.
 */
export class AdminDoor {
  readonly #server: Server
  readonly #ports: AdminPorts
  readonly #options: Options
  /** Asked at accept: later the socket may be closed, and its number another's. */
  readonly #peers = new WeakMap<Socket, Peer>()
  #answering: Promise<Answering> | undefined
  #bound: Bound | undefined

  constructor(ports: AdminPorts, options: Options) {
    this.#ports = ports
    this.#options = options
    this.#server = http.createServer({ headersTimeout: 5_000, requestTimeout: 10_000 }, (request, response) => {
      const fault = siteFault(request, options)
      if (fault) refuse(response, fault)
      else this.#answer(request, response).catch((error) => this.#fail(response, error))
    })
    this.#server.on('connection', (socket: Socket) => {
      const peer = options.peers?.read(socket)
      if (peer) this.#peers.set(socket, peer)
    })
    this.#server.on('clientError', (_error, socket) => socket.destroy())
  }

  async #answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    this.#answering ??= this.#load()
    const answer = await this.#answering
    await answer({ incoming, outgoing, peer: this.#peers.get(incoming.socket) })
  }

  /** What failed once, as for want of descriptors, is tried again for whoever asks next. */
  async #load(): Promise<Answering> {
    try {
      const { createAnswering } = await import('./answering.ts')
      return createAnswering(this.#ports)
    } catch (error) {
      this.#answering = undefined
      throw error
    }
  }

  #fail(response: ServerResponse, error: unknown): void {
    this.#ports.onFault(randomUUIDv7(), error)
    response.destroy()
  }

  /** Binds; returns the address in the form `host:port` or `unix:path`. */
  async open(): Promise<string> {
    this.#bound = await openPlace(this.#server, this.#options, this.#options)
    return this.#bound.address
  }

  async close(): Promise<void> {
    await this.#bound?.release()
    const closed = new Promise<void>((done) => this.#server.close(() => done()))
    this.#server.closeAllConnections()
    await closed
  }
}

/** What probes ask for, under whatever name. */
const OPEN = new Set(['/livez', '/readyz', '/startupz', '/metrics'])

/**
 * A page that rebinds its name to this address, or a browser that asks for a page of another origin, must not reach what is
 * for the operator. On a Unix socket too: people forward those to a port, where the kernel then vouches for their browser.
 */
function siteFault(request: IncomingMessage, { listen, hostnames = [] }: Options): SiteFault | undefined {
  const { rawHeaders, url = '' } = request
  if (listen.startsWith('unix:') && OPEN.has(url)) return undefined
  // Of two, some would read the one and some the other.
  if (valuesOf(rawHeaders, 'host').length > 1) return 'host-misdirected'
  const fields = isVisit(request) ? withoutSite(rawHeaders) : rawHeaders
  const fault = faultOfSite(fields, { listen, hostnames })
  if (!fault) return undefined
  return fault.code === 'host-misdirected' ? 'host-misdirected' : 'cross-site'
}

/**
 * An issuer sends the browser back to us, and links to a login come from anywhere. Such a visit is a whole page, never a part of
 * one; it does nothing by itself but begin a login, and ends one by a state and a cookie that no other page knows.
 */
function isVisit({ method, url = '', headers }: IncomingMessage): boolean {
  const { 'sec-fetch-mode': mode = 'navigate', 'sec-fetch-dest': dest = 'document', origin } = headers
  return (
    method === 'GET' && url.startsWith('/login/') && mode === 'navigate' && dest === 'document' && origin === undefined
  )
}

function withoutSite(fields: readonly string[]): readonly string[] {
  return fields.filter((_, at) => fields[at - (at % 2)]?.toLowerCase() !== 'sec-fetch-site')
}

type SiteFault = 'host-misdirected' | 'cross-site'

/** Before anything else looks at the request. */
function refuse(response: ServerResponse, fault: SiteFault): void {
  const { status, headers, body } = refusalMessage(new AdminProblem(fault), randomUUIDv7())
  response.writeHead(status, headers).end(body)
}

import http from 'node:http'
import { resolve } from 'node:path'
import { getRequestListener } from '@hono/node-server'
import type { Hono } from 'hono'
import { type Bound, bind, parseListen } from '../wire/listen.ts'
import { faultOfSite } from '../wire/site.ts'

/** The operator's door. It never answers at a data door, and a data door never leads to it. */
export class AdminDoor {
  readonly #server: http.Server
  readonly #listen: string
  readonly #directory: string
  #bound: Bound | undefined

  constructor(app: Hono, { listen, directory }: { readonly listen: string; readonly directory: string }) {
    const handle = getRequestListener(app.fetch, { overrideGlobalObjects: false })
    const isTcp = !listen.startsWith('unix:')
    this.#listen = listen
    this.#directory = directory
    this.#server = http.createServer({ headersTimeout: 5_000, requestTimeout: 10_000 }, (request, response) => {
      // A page that rebinds its name to this address must not read what is for the operator.
      if (isTcp && faultOfSite(request.rawHeaders, { listen, hostnames: [] })) response.writeHead(421).end()
      else handle(request, response).catch(() => response.destroy())
    })
    this.#server.on('clientError', (_error, socket) => socket.destroy())
  }

  /** Binds; returns the address in the form `host:port` or `unix:path`. */
  async open(): Promise<string> {
    const where = parseListen(this.#listen)
    if (typeof where === 'string') throw new Error(where)
    const at = where.kind === 'unix' ? { ...where, path: resolve(this.#directory, where.path) } : where
    this.#bound = await bind(this.#server, at)
    return this.#bound.address
  }

  async close(): Promise<void> {
    await this.#bound?.release()
    const closed = new Promise<void>((done) => this.#server.close(() => done()))
    this.#server.closeAllConnections()
    await closed
  }
}

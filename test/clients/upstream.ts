import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Authority } from '../support/certificates.ts'
import { apiService } from './services/api.ts'
import { aptRepository } from './services/apt-repository.ts'
import { gitServer } from './services/git-server.ts'
import { npmRegistry } from './services/npm-registry.ts'
import type { Service } from './services/service.ts'
import { wheelIndex } from './services/wheel-index.ts'

/** The upstreams that clients here are made for. */
export const SERVICES = {
  api: (_directory, words) => apiService(words),
  apt: aptRepository,
  git: gitServer,
  npm: npmRegistry,
  pip: wheelIndex,
} as const satisfies Readonly<Record<string, (directory: string, words: string) => Service>>

/** The name of one. */
export type ServiceName = keyof typeof SERVICES

/** All of them. */
export const SERVICE_NAMES = Object.keys(SERVICES) as ServiceName[] // The keys are these, and no more.

/** Its host. */
export function hostOf(service: ServiceName): string {
  return `${service}.client.test`
}

/** One request as the upstream saw it. */
export interface Seen {
  readonly host: string
  /** `GET /path?query` */
  readonly line: string
  /** Names and values in turn, as they came. */
  readonly rawHeaders: readonly string[]
}

/** All services behind one TLS port, by `Host`. */
export interface Upstream {
  readonly port: number
  /** What came since the last time. */
  take(): readonly Seen[]
  /** Where clients see a service from now on. */
  publish(urlOf: (service: ServiceName) => string): void
  close(): Promise<void>
}

interface Terms {
  readonly authority: Authority
  readonly directory: string
  /** What the services tell. */
  readonly words: string
  /** The one value of `Authorization` that each lets in. */
  readonly authorizationOf: (service: ServiceName) => string
}

/** Starts it. Whoever comes without the credential gets a 401 and nothing else. */
export async function startUpstream(terms: Terms): Promise<Upstream> {
  const { authority, authorizationOf } = terms
  const services = new Map(SERVICE_NAMES.map((name) => [hostOf(name), { name, service: makeService(name, terms) }]))
  const seen: Seen[] = []
  let urlOf: (service: ServiceName) => string = () => ''
  const server = createServer(await authority.issue([...services.keys()]), (request, response) => {
    const host = (request.headers.host ?? '').replace(/:\d+$/, '')
    seen.push(sightOf(request, host))
    const { name, service } = services.get(host) ?? {}
    if (!name || !service) response.writeHead(421).end()
    else if (request.headers.authorization !== authorizationOf(name)) response.writeHead(401, CHALLENGE).end()
    else service.handle(request, response, urlOf(name)).catch((error: Error) => response.destroy(error))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    // A TCP server has an address of this form.
    port: (server.address() as AddressInfo).port,
    take: () => seen.splice(0),
    publish: (urls) => void (urlOf = urls),
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const CHALLENGE = { 'WWW-Authenticate': 'Basic realm="upstream"' }

function makeService(name: ServiceName, { directory, words }: Terms): Service {
  const own = join(directory, name)
  mkdirSync(own)
  return SERVICES[name](own, words)
}

function sightOf({ method = '', url = '', rawHeaders }: IncomingMessage, host: string): Seen {
  return { host, line: `${method} ${url}`, rawHeaders: [...rawHeaders] }
}

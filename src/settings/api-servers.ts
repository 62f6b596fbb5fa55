import { HostTable } from '../core/host-table.ts'
import { entries, field, list } from './untyped.ts'

/** One place of an API. */
interface Server {
  /** Undefined where the description leaves it open. */
  readonly host: string | undefined
  /** "" or "/v1". */
  readonly base: string
}

/** A description may have a server for each region, stage and version. */
const MAX_SERVERS = 100

/**
 * The base paths below which the operations of an API are found: those of the servers on a host of the connection; where
 * none is, that of all servers, if it is one. A text: why it cannot be told.
 * @see OpenAPI Specification 3.1.1 section 4.8.5
 */
export function basePathsOf(servers: unknown, hosts: readonly string[]): readonly string[] | string {
  const all = list(servers).flatMap(expand)
  if (all.length === 0) return ['']
  if (all.length > MAX_SERVERS) return `use a description with at most ${MAX_SERVERS} servers`
  const table = new HostTable(hosts.map((host) => [host, host]))
  const own = all.filter(({ host }) => host !== undefined && table.find(host) !== undefined)
  const bases = [...new Set((own.length > 0 ? own : all).map(({ base }) => base))]
  if (own.length > 0 || bases.length === 1) return bases
  return `use a description with one of the hosts of the connection in "servers": these have several base paths (${bases.map((base) => base || '/').join(', ')})`
}

/** One for each choice of its variables: of one without a list of values, the default alone. */
function expand(server: unknown): readonly Server[] {
  const url = field(server, 'url')
  if (typeof url !== 'string') return []
  const variables = entries(field(server, 'variables'))
  const urls = variables.reduce<readonly string[]>(
    (before, [name, variable]) =>
      before
        .flatMap((one) =>
          (one.includes(`{${name}}`) ? choicesOf(variable) : ['']).map((value) => one.replaceAll(`{${name}}`, value)),
        )
        .slice(0, MAX_SERVERS + 1),
    [url],
  )
  return urls.map(serverOf)
}

function choicesOf(variable: unknown): readonly string[] {
  const values = list(field(variable, 'enum'))
  return (values.length > 0 ? values : [field(variable, 'default')]).map(String)
}

function serverOf(url: string): Server {
  const [, host, path = ''] = /^https?:\/\/([^/?#:]*)(?::\d+)?(\/[^?#]*)?/i.exec(url) ?? [
    undefined,
    undefined,
    `/${url}`,
  ]
  // A relative one starts where the description was found, and nobody knows where that is.
  const base = path.replace(/^\/+/, '/').replace(/\/+$/, '')
  return { host: host?.toLowerCase(), base }
}

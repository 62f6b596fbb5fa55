import { lookup, Resolver } from 'node:dns/promises'
import { Problem } from '../core/problem.ts'
import { readHostsFile } from './hosts-file.ts'
import { codeOf } from './opening.ts'

/** Turns names into addresses. Which of them may be dialled is not its business. */
export interface NameResolver {
  /**
   * The addresses of a canonical name, at least one and at most 32. Simultaneous calls for one name share one flight.
   * @throws Problem `upstream-unresolved`, `upstream-timeout`
   */
  resolve(host: string): Promise<readonly string[]>
}

interface Settings {
  /** Name servers as `address` or `address:port`; without them the system resolves. */
  readonly servers?: readonly string[] | undefined
  /** Addresses of exact names, which nothing else is asked about. */
  readonly hosts?: Readonly<Record<string, readonly string[]>> | undefined
  /** For one name as a whole. */
  readonly timeoutMs?: number | undefined
  /** Names of the machine itself, read when the system resolves. */
  readonly hostsFile?: string | undefined
  /** The system's own resolver; it is given names with their final dot. */
  readonly system?: Lookup | undefined
}

type Lookup = (name: string) => Promise<readonly string[]>

// No honest service needs more, and a flood of records would be classified and tried one by one (E10).
const MAX_ADDRESSES = 32
/** How long the second address family may keep the first waiting. RFC 8305 section 3 advises 50 ms and says to measure. */
const FAMILY_GRACE_MS = 300

/**
 * A name is looked up among `hosts`, then with `servers`, or without servers in the hosts file and then by getaddrinfo.
 *
 * getaddrinfo is given the absolute name, with its dot: otherwise the search list of resolv.conf may turn `api` or even
 * `api.test` into a name that nobody judged (E09). With the dot glibc no longer finds the names of /etc/hosts, so the file
 * is read here, exact names only.
 */
export function createResolver(settings: Settings = {}): NameResolver {
  const { servers, timeoutMs = 5000, hostsFile = '/etc/hosts', system = getaddrinfo } = settings
  const pinned = new Map(Object.entries(settings.hosts ?? {}))
  const flights = new Map<string, Promise<readonly string[]>>()
  const ask = servers?.length ? askServers(servers, timeoutMs) : askSystem(hostsFile, system)

  async function look(host: string): Promise<readonly string[]> {
    const addresses = pinned.get(host) ?? (await within(timeoutMs, host, ask(host)))
    if (addresses.length === 0) throw new Problem('upstream-unresolved', { reason: `${host} has no address` })
    return addresses.slice(0, MAX_ADDRESSES)
  }

  return {
    resolve(host) {
      const flight = flights.get(host) ?? look(host).finally(() => flights.delete(host))
      flights.set(host, flight)
      return flight
    },
  }
}

function askSystem(hostsFile: string, system: Lookup): Lookup {
  return async (host) => {
    const local = (await readHostsFile(hostsFile)).get(host)
    if (local) return local
    try {
      return await system(`${host}.`)
    } catch (error) {
      throw unresolved(host, [error])
    }
  }
}

async function getaddrinfo(name: string): Promise<readonly string[]> {
  const found = await lookup(name, { all: true, order: 'verbatim' })
  return found.map(({ address }) => address)
}

function askServers(servers: readonly string[], timeoutMs: number): Lookup {
  // Throws at start, not at the first request, when one of them is no address.
  new Resolver().setServers(servers)
  return async (host) => {
    // One for each name: `cancel` ends all queries of a resolver.
    const resolver = new Resolver({ timeout: Math.ceil(timeoutMs / 2), tries: 2 })
    resolver.setServers(servers)
    try {
      return await bothFamilies(host, [resolver.resolve6(host), resolver.resolve4(host)])
    } finally {
      resolver.cancel()
    }
  }
}

/** Either family may fail, or dawdle, when the other has an answer: some servers drop every AAAA question. */
async function bothFamilies(host: string, queries: readonly Promise<string[]>[]): Promise<readonly string[]> {
  const found: string[][] = queries.map(() => [])
  const errors: unknown[] = []
  const settled = queries.map((query, at) =>
    query.then(
      (list) => void (found[at] = list),
      (error) => void errors.push(error),
    ),
  )
  const answered = Promise.any(queries).catch(() => undefined)
  await Promise.race([Promise.all(settled), answered.then(() => pause(FAMILY_GRACE_MS))])
  if (errors.length === queries.length) throw unresolved(host, errors)
  return found.flat()
}

function unresolved(host: string, errors: readonly unknown[]): Problem {
  const codes = errors.map(codeOf)
  const reason = `${host}: ${codes.join(', ')}`
  return new Problem(codes.includes('ETIMEOUT') ? 'upstream-timeout' : 'upstream-unresolved', {
    reason,
    cause: errors[0],
  })
}

function within<T>(timeoutMs: number, host: string, work: Promise<T>): Promise<T> {
  const reason = `${host} did not resolve within ${timeoutMs} ms`
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Problem('upstream-timeout', { reason })), timeoutMs)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref())
}

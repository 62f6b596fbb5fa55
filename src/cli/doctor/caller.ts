import { covers, noProxyEntries } from '../no-proxy.ts'
import { environmentLine } from './environment-line.ts'
import { examine, examineAll, type Told } from './finding.ts'
import { callerTold, type Door } from './identity.ts'
import { examineReaders } from './proxy-readers.ts'
import { fixedPlace, type Site } from './site.ts'

/** By what clients find a proxy: for each scheme, in either case. */
const VARIABLES = { http: ['http_proxy', 'HTTP_PROXY'], https: ['https_proxy', 'HTTPS_PROXY'] } as const

/** Whether this environment leads clients to the sidecar, and whether the sidecar knows whom they speak for. */
export async function examineCaller(site: Site): Promise<readonly Told[]> {
  if (forwardDoors(site).length === 0)
    return [
      { subject: 'proxy variables', state: 'skipped', says: 'no forward listener has a port that they could name' },
    ]
  const proxies = examineAll(proxiesIn(site.env), ([value, names]) => examineProxy(value, names.join(', '), site))
  return [...missing(site), ...(await proxies), ...(await examineReaders(site)), ...bypasses(site)]
}

function missing(site: Site): readonly Told[] {
  return Object.entries(VARIABLES)
    .filter(([, names]) => names.every((name) => !site.env[name]))
    .map(([scheme, [name]]) => ({
      subject: name,
      state: 'warning',
      says: `is not set: ${scheme}:// requests of this environment go past the sidecar`,
      remedy: environmentLine(site),
    }))
}

/** The names of the variables by their value: what is the same is asked once. */
function proxiesIn(env: NodeJS.ProcessEnv): ReadonlyMap<string, readonly string[]> {
  const names = Object.values(VARIABLES).flat()
  return Map.groupBy(
    names.filter((name) => env[name]),
    (name) => env[name] ?? '',
  )
}

async function examineProxy(value: string, subject: string, site: Site): Promise<readonly Told[]> {
  // The value may hold a key, so that no more than its address is ever told.
  const proxy = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`)
  const door = proxy && forwardDoors(site).find((place) => isAt(proxy, place))
  if (door) return examine(subject, (signal) => callerTold({ subject, door, proxy }, site, signal))
  const says = proxy ? `leads to ${proxy.host}, which is no forward listener of these settings` : 'is no URL'
  return [{ subject, state: 'warning', says, remedy: environmentLine(site) }]
}

function forwardDoors({ loaded }: Site): readonly Door[] {
  return loaded.settings.listeners
    .filter(({ kind }) => kind === 'forward')
    .map(({ listen }) => fixedPlace(listen, loaded))
    .filter((place) => place?.kind === 'tcp')
}

function isAt({ protocol, hostname, port }: URL, door: Door): boolean {
  const host = hostname.replace(/^\[|\]$/g, '')
  return protocol === 'http:' && Number(port || 80) === door.port && (host === door.host || host === 'localhost')
}

function bypasses({ loaded, env }: Site): readonly Told[] {
  const hosts = Object.values(loaded.settings.connections).flatMap(({ hosts }) => hosts)
  return noProxyEntries(env).flatMap((entry) =>
    hosts
      .filter((host) => covers(entry, host))
      .map((host) => ({
        subject: 'NO_PROXY',
        state: 'warning',
        says: `${host} goes past the sidecar, because of "${entry}"`,
        remedy: `take "${entry}" out of NO_PROXY and no_proxy`,
      })),
  )
}

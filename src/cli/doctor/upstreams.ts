import { TLSSocket } from 'node:tls'
import { Problem } from '../../core/problem.ts'
import type { ConnectionSettings } from '../../settings/schema.ts'
import type { Dialer } from '../../wire/dial.ts'
import { dialFault } from './dial-fault.ts'
import { examine, examineAll, type Told } from './finding.ts'
import type { Inspected, Site } from './site.ts'
import { expiry } from './words.ts'

/** Whether every upstream has an address that may be dialled, answers there, and proves its name. */
export function examineUpstreams(site: Site): Promise<readonly Told[]> {
  const hosts = site.connections.flatMap((inspected) => inspected.settings.hosts.map((host) => ({ host, inspected })))
  return examineAll(hosts, ({ host, inspected }) => examineHost(host, inspected, site))
}

async function examineHost(host: string, { name, settings, opened }: Inspected, site: Site): Promise<readonly Told[]> {
  const subject = `${name} ${host}`
  if (host.startsWith('*.')) return [{ subject, state: 'skipped', says: 'a wildcard is no name to dial' }]
  if (!opened) return [closed(subject)]
  const { upstream } = opened.connection
  const look = async (signal: AbortSignal): Promise<Told> => {
    const reached = await reach(site.dialer, destinationOf(host, settings, upstream), signal)
    return reached instanceof Problem
      ? { subject, ...faultOf(reached, host, { name, settings }) }
      : { subject, ...toldOf(reached, settings, site.clock.now()) }
  }
  // The dial has a limit of its own, which says more.
  return examine(subject, look, upstream.limits.connectTimeoutMs + 1_000)
}

type Opened = NonNullable<Inspected['opened']>

/** What may pass a tunnel as any bytes need not be TLS. */
function destinationOf(host: string, { tunnel }: ConnectionSettings, upstream: Opened['connection']['upstream']) {
  const to = upstream.destination(host)
  return tunnel === 'any' ? { ...to, tls: 'plaintext' as const } : to
}

/** In an unopened tunnel nobody but the client judges a certificate; `http://` to the same host would fail. */
function faultOf(
  problem: Problem,
  host: string,
  { name, settings }: Pick<Inspected, 'name' | 'settings'>,
): Omit<Told, 'subject'> {
  const { says, remedy } = dialFault(problem, {
    host,
    place: `connections.${name}`,
    authorities: settings.tls.ca?.file,
  })
  if (settings.connect !== 'tunnel' || problem.code !== 'upstream-untrusted') return { state: 'failed', says, remedy }
  return { state: 'warning', says: `${says}; clients of a tunnel judge it by themselves`, remedy }
}

/** What can be said of a connection that could not be built. */
export function closed(subject: string): Told {
  return { subject, state: 'skipped', says: 'a secret or a file of this connection cannot be opened from here' }
}

interface Reached {
  readonly address: string
  /** Undefined in plaintext. */
  readonly tls: { readonly version: string; readonly until: number } | undefined
}

async function reach(
  dialer: Dialer,
  to: Parameters<Dialer['dial']>[0],
  signal: AbortSignal,
): Promise<Reached | Problem> {
  try {
    const socket = await dialer.dial(to, signal)
    const address = `${socket.remoteAddress} port ${socket.remotePort}`
    const tls = socket instanceof TLSSocket ? tlsOf(socket) : undefined
    socket.destroy()
    return { address, tls }
  } catch (error) {
    if (error instanceof Problem) return error
    throw error
  }
}

/** Of all that a peer's certificate says, its end is what comes as a time and not as a text. */
function tlsOf(socket: TLSSocket): Reached['tls'] {
  return { version: socket.getProtocol() ?? 'TLS', until: Date.parse(socket.getPeerCertificate().valid_to) }
}

function toldOf({ address, tls }: Reached, { tunnel }: ConnectionSettings, now: number): Omit<Told, 'subject'> {
  if (tunnel === 'any') return { state: 'ok', says: `${address} answers; what it speaks is for the client` }
  if (!tls) return { state: 'ok', says: `${address} answers, in plaintext: whoever is on the way reads the credential` }
  const { state, says } = expiry(tls.until, now)
  const told = { state, says: `${address} answers, ${tls.version}; its certificate ${says}` }
  return state === 'ok' ? told : { ...told, remedy: 'whoever runs the upstream has to renew its certificate' }
}

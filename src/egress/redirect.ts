import type { Settings } from '../settings/schema.ts'
import { type ListenAddress, parseListen } from '../wire/listen.ts'

/** Whose packets are judged, and where those of apps go instead. */
export interface Users {
  /** User of Sallyport, by number or name. */
  readonly sallyport: string
  /** Users of the apps; none: everybody but Sallyport. */
  readonly apps: readonly string[]
  /** Port of a transparent door, when the settings do not say. */
  readonly redirectTo: number | undefined
}

/** The users of the apps, as nft compares them. */
export function appsOf({ apps, sallyport }: Users): string {
  return apps.length === 0 ? `!= ${sallyport}` : `{ ${apps.join(', ')} }`
}

/**
 * What sends the packets of apps to a transparent door, for each family that has one: a redirected packet goes to the loopback
 * address of its own family, and without a door there it is refused instead.
 * @throws Error in words, where it could be one or the other
 */
export function redirectOf({ listeners }: Settings, { redirectTo }: Users): readonly string[] {
  if (redirectTo !== undefined) return [redirect('ipv4', redirectTo), redirect('ipv6', redirectTo)]
  const doors = listeners
    .filter(({ kind }) => kind === 'transparent')
    .map(({ listen }) => parseListen(listen, { allowNonLoopback: true }))
    .filter(isTcp)
  const ipv4 = doors.filter(({ host }) => !host.includes(':') || host === '::')
  const ipv6 = doors.filter(({ host }) => host.includes(':'))
  // Each door is a caller: whose packets go to which, the settings do not say.
  if (ipv4.length > 1 || ipv6.length > 1)
    throw new Error('the settings have several transparent doors: use --redirect-to PORT, with --app-user for whom')
  return [...ipv4.map(({ port }) => redirect('ipv4', port)), ...ipv6.map(({ port }) => redirect('ipv6', port))]
}

function redirect(family: 'ipv4' | 'ipv6', port: number): string {
  return `meta nfproto ${family} tcp dport { 80, 443 } redirect to :${port}`
}

/** At a port that is known before the start. */
function isTcp(where: ListenAddress | string): where is ListenAddress & { readonly kind: 'tcp' } {
  return typeof where === 'object' && where.kind === 'tcp' && where.port !== 0
}

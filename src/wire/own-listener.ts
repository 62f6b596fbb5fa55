import { networkInterfaces } from 'node:os'

/**
 * Whether a door of ours listens at this address and port. `doors`: where they listen, as `host:port`; sockets are passed
 * over. 127.0.0.2 is as much this machine as 127.0.0.1, and a door on 0.0.0.0 or [::] is at every address that it has, so
 * whatever means this machine counts, and the port decides.
 */
export function isOwnListener(doors: Iterable<string>, address: string, port: number): boolean {
  const own = [...doors].filter((door) => !door.startsWith('unix:') && door.endsWith(`:${port}`))
  if (own.length === 0) return false
  return isLoopback(address) || own.includes(written(address, port)) || ownAddresses().has(address)
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.')
}

function written(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

/** Asked anew each time: addresses come and go, and it is asked only where the port is one of ours. */
function ownAddresses(): ReadonlySet<string> {
  const addresses = Object.values(networkInterfaces()).flatMap((one = []) => one.map(({ address }) => address))
  return new Set(['0.0.0.0', '::', ...addresses])
}

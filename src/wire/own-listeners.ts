import { networkInterfaces } from 'node:os'
import { canonicalAddress, classify } from './address.ts'

interface Own {
  readonly host: string
  readonly port: number
}

/**
 * Where doors of this process listen: no connection may lead there. The proxy would go round in circles, and what is for
 * operators alone would be as near as whatever a caller was granted.
 */
export class OwnListeners {
  readonly #all: Own[] = []

  /** `host:port` as a bound door has it. Of `unix:` there is nothing to keep: nothing dials a path. */
  add(address: string): void {
    const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d+)$/.exec(address) ?? []
    const host = bracketed ?? plain
    if (host !== undefined) this.#all.push({ host: canonicalAddress(host), port: Number(port) })
  }

  /** Whether a door of ours would answer there. `address`: in its canonical spelling. */
  has(address: string, port: number): boolean {
    return this.#all.some((own) => own.port === port && isReached(own.host, address))
  }
}

/**
 * All of loopback is this machine, and Linux connects the unspecified addresses to it. A door on an unspecified address
 * answers at every address of the machine.
 */
function isReached(own: string, address: string): boolean {
  if (own === address || (isHere(own) && isHere(address))) return true
  return isUnspecified(own) && ownAddresses().has(address)
}

function isHere(address: string): boolean {
  return classify(address) === 'loopback' || isUnspecified(address)
}

function isUnspecified(address: string): boolean {
  return address === '::' || /^0(?:\.\d+){3}$/.test(address)
}

/** Asked only where the port is one of ours: interfaces come and go. */
function ownAddresses(): ReadonlySet<string> {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  return new Set(all.map(({ address }) => canonicalAddress(address.split('%')[0] ?? '')))
}

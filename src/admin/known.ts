import type { AdminPorts } from './ports.ts'
import { holdingsOf } from './store-of.ts'

/** How to name a connection, for somebody who has named another. */
export function knownConnections(names: Iterable<string>): string {
  return oneOf('connection', [...names], 'add one to "connections" in the settings')
}

/** The kind of proof of a caller: as the settings or the store have it, or a template may make it; undefined: nobody. */
export function proofOf(caller: string, ports: AdminPorts): string | undefined {
  const { callers, mayName } = ports.declared()
  const declared = callers.get(caller)
  if (declared !== undefined) return declared
  if (holdingsOf(ports).callers.some(({ name }) => name === caller)) return STORED_PROOF
  return mayName(caller) ? 'template' : undefined
}

/** Callers that operators add show a key. */
export const STORED_PROOF = 'api-key'

/** How to name a caller, for somebody who has named another. */
export function knownCallers(ports: AdminPorts): string {
  const stored = holdingsOf(ports).callers.map(({ name }) => name)
  return oneOf('caller', [...ports.declared().callers.keys(), ...stored], 'add one')
}

const AT_MOST = 20

function oneOf(what: string, names: readonly string[], otherwise: string): string {
  if (names.length === 0) return `there is no ${what} yet: ${otherwise}`
  return `use the name of a ${what}: ${names.slice(0, AT_MOST).join(', ')}${names.length > AT_MOST ? ', ...' : ''}`
}

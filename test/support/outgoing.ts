import type { Outgoing } from '../../src/injections/injection.ts'

/** A request on its way out, as an injection sees it; what is said here, or an empty GET. */
export function outgoing(given: Partial<Outgoing> = {}): Outgoing {
  return { fields: [], query: '', method: 'GET', url: 'https://api.test/v1', found: () => [], ...given }
}

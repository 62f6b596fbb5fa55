import { Problem } from './core/problem.ts'
import type { Supply } from './credentials/credential.ts'
import type { Connection } from './gate/snapshot.ts'

/**
 * The credential of a connection, as other connections get it to exchange. None while an operator has switched that one off;
 * what was given in exchange before goes on until it ends, or its own connection is switched off.
 */
export function lent({ name, supply }: Connection, isDisabled: (connection: string) => boolean): Supply {
  return {
    obtain(purpose) {
      if (!isDisabled(name)) return supply.obtain(purpose)
      return Promise.reject(
        new Problem('credential-unavailable', { reason: `connection ${name} is switched off`, retryAfter: 1 }),
      )
    },
    rejected: async (credential, purpose) => (isDisabled(name) ? undefined : supply.rejected(credential, purpose)),
    state: () => supply.state(),
    keyOf: (purpose) => supply.keyOf?.(purpose),
  }
}

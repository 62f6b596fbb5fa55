import type { StoredCaller, StoredKey } from '../core/holdings.ts'
import { type KeyEntry, KeyIndex } from './key-index.ts'
import type { CallerMethod, Finding } from './method.ts'

interface StoredEntry extends KeyEntry, Pick<StoredKey, 'expiresAt'> {}

/**
 * Callers that operators added while Sallyport runs: keys like those of the settings. Built anew with each change of the
 * store. One whose name the settings have, too, proves nobody: what is declared is not to be taken over from outside.
 * `now`: ms since the epoch, never behind what has passed: whoever sets the wall clock back makes no key last longer.
 */
export function storedKeys(
  stored: readonly StoredCaller[],
  { now, isDeclared }: { now(): number; isDeclared(name: string): boolean },
): CallerMethod {
  const index = new KeyIndex(stored.filter(({ name }) => !isDeclared(name)).flatMap(entriesOf))
  return {
    kind: 'api-key',
    identify({ keys: [shown, ...others], unreadable }): Finding {
      if (unreadable) return 'wrong'
      if (!shown) return 'silent'
      const found = others.length === 0 ? index.find(shown) : undefined
      return found && isGood(found, now()) ? { caller: found.caller } : 'wrong'
    },
  }
}

function entriesOf({ name: caller, keys }: StoredCaller): StoredEntry[] {
  return keys.map(({ digest, expiresAt }) => ({ caller, digest: Buffer.from(digest, 'hex'), expiresAt }))
}

/** Not any more at its very millisecond. */
function isGood({ expiresAt }: StoredEntry, now: number): boolean {
  return expiresAt === undefined || now < expiresAt
}

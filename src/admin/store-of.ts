import { type Holdings, NO_HOLDINGS } from '../core/holdings.ts'
import type { Store } from '../store/store.ts'
import { AdminProblem } from './admin-problem.ts'
import type { AdminPorts } from './ports.ts'

/** The store. @throws AdminProblem `store-missing` */
export function storeOf({ store }: Pick<AdminPorts, 'store'>): Store {
  if (!store) throw new AdminProblem('store-missing')
  return store
}

/** What is in the store; nothing where there is none. */
export function holdingsOf({ store }: Pick<AdminPorts, 'store'>): Holdings {
  return store?.holdings() ?? NO_HOLDINGS
}

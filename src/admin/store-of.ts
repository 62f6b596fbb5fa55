import { type Holdings, NO_HOLDINGS } from '../core/holdings.ts'
import type { AuditRows } from '../store/audit-rows.ts'
import type { Store } from '../store/store.ts'
import { AdminProblem } from './admin-problem.ts'
import type { AdminPorts } from './ports.ts'

/** The store. @throws AdminProblem `store-missing` */
export function storeOf({ store }: Pick<AdminPorts, 'store'>): Store {
  if (!store) throw new AdminProblem('store-missing')
  return store
}

/** What the store keeps of the audit. @throws AdminProblem `store-missing`, `audit-elsewhere` */
export function auditOf(ports: Pick<AdminPorts, 'store' | 'isAuditStored'>): AuditRows {
  const { audit } = storeOf(ports)
  // Its rows would be none, or those of another time, and nobody could tell that from "it has not happened".
  if (!ports.isAuditStored) throw new AdminProblem('audit-elsewhere')
  return audit
}

/** What is in the store; nothing where there is none. */
export function holdingsOf({ store }: Pick<AdminPorts, 'store'>): Holdings {
  return store?.holdings() ?? NO_HOLDINGS
}

import type { Route } from './route.ts'
import { auditRoutes } from './routes/audit.ts'
import { callerRoutes } from './routes/callers.ts'
import { connectionRoutes } from './routes/connections.ts'
import { grantRoutes } from './routes/grants.ts'
import { inventoryRoutes } from './routes/inventory.ts'
import { loginRoutes } from './routes/logins.ts'
import { policyRoutes } from './routes/policy.ts'
import { secretRoutes } from './routes/secrets.ts'
import { whyRoutes } from './routes/why.ts'

/** The whole admin API. The doors of Hono, the OpenAPI document and the tests of roles are made of this table. */
export const routes: readonly Route[] = [
  ...connectionRoutes,
  ...loginRoutes,
  ...callerRoutes,
  ...grantRoutes,
  ...secretRoutes,
  ...whyRoutes,
  ...auditRoutes,
  ...inventoryRoutes,
  ...policyRoutes,
]

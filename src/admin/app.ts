import { Hono } from 'hono'
import type { Registry } from 'prom-client'
import type { SupplyState } from '../credentials/credential.ts'

/** What the operator's door tells of the house. */
export interface Health {
  /** Settings read, doors open, not shutting down. */
  isReady(): boolean
  connections(): ReadonlyMap<string, SupplyState>
  readonly metrics: Registry
}

/**
 * Health and metrics. Liveness is the event loop alone, and readiness the doors alone: an issuer that is down must not
 * restart a sidecar that still serves from its cache, so credentials are shown and do not decide.
 */
export function createAdminApp(health: Health): Hono {
  const app = new Hono()
  app.get('/livez', (context) => context.json({ status: 'ok' }))
  // This door opens after all others: to be answered is the answer.
  app.get('/startupz', (context) => context.json({ status: 'ok' }))
  app.get('/readyz', (context) =>
    context.json(
      {
        status: health.isReady() ? 'ok' : 'not ready',
        connections: Object.fromEntries([...health.connections()].map(shown)),
      },
      health.isReady() ? 200 : 503,
    ),
  )
  app.get('/metrics', async (context) =>
    context.body(await health.metrics.metrics(), 200, { 'Content-Type': health.metrics.contentType }),
  )
  app.notFound((context) => context.json({ title: 'Not here', status: 404 }, 404))
  return app
}

/** Times as ISO 8601 and ages in ms, for people and scripts alike. */
function shown([name, state]: readonly [string, SupplyState]): [string, object] {
  const { mintedAt, expiresAt, nextAttemptAt, lastError, phase } = state
  return [
    name,
    {
      phase,
      ...(mintedAt !== undefined && { mintedAt: iso(mintedAt), ageMs: Date.now() - mintedAt }),
      ...(expiresAt !== undefined && { expiresAt: iso(expiresAt) }),
      ...(nextAttemptAt !== undefined && { nextAttemptAt: iso(nextAttemptAt) }),
      ...(lastError && { lastError: { ...lastError, at: iso(lastError.at) } }),
    },
  ]
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}

import { Hono } from 'hono'
import type { SupplyState } from '../credentials/credential.ts'
import { summaryOf } from './login-view.ts'
import type { AdminPorts } from './ports.ts'
import { iso } from './shapes.ts'

/**
 * Health and metrics, for probes that show nothing. Liveness is the event loop alone, and readiness the doors alone: an
 * issuer that is down must not restart a sidecar that still serves from its cache, so credentials are shown and do not
 * decide.
 */
export function healthApp(ports: Pick<AdminPorts, 'isReady' | 'supplies' | 'desks' | 'metrics' | 'store'>): Hono {
  const app = new Hono()
  app.get('/livez', (context) => context.json({ status: 'ok' }))
  // This door opens after all others: to be answered is the answer.
  app.get('/startupz', (context) => context.json({ status: 'ok' }))
  app.get('/readyz', (context) =>
    context.json(
      {
        status: ports.isReady() ? 'ok' : 'not ready',
        // It decides nothing here either: what was known goes on being served for a while.
        ...(ports.store && { store: ports.store.state() }),
        connections: Object.fromEntries([...ports.supplies()].map((one) => shown(one, ports.desks()))),
      },
      ports.isReady() ? 200 : 503,
    ),
  )
  app.get('/metrics', async (context) =>
    context.body(await ports.metrics.metrics(), 200, { 'Content-Type': ports.metrics.contentType }),
  )
  return app
}

/** Times as ISO 8601 and ages in ms, for people and scripts alike. */
function shown(
  [name, state]: readonly [string, SupplyState],
  desks: ReturnType<AdminPorts['desks']>,
): [string, object] {
  const desk = desks.get(name)
  const { mintedAt, expiresAt, nextAttemptAt, lastError, phase, separate } = state
  return [
    name,
    {
      phase,
      ...(desk && { login: summaryOf(desk).state }),
      ...(mintedAt !== undefined && { mintedAt: iso(mintedAt), ageMs: Date.now() - mintedAt }),
      ...(expiresAt !== undefined && { expiresAt: iso(expiresAt) }),
      ...(nextAttemptAt !== undefined && { nextAttemptAt: iso(nextAttemptAt) }),
      ...(separate !== undefined && { separate }),
      ...(lastError && { lastError: { ...lastError, at: iso(lastError.at) } }),
    },
  ]
}

import type { Secret } from '../core/secret.ts'
import { lifetimeOf } from './token-lifetime.ts'

const WHATEVER_IT_SAYS = { defaultLifetimeMs: Number.POSITIVE_INFINITY, maxLifetimeMs: Number.POSITIVE_INFINITY }

/** When a secret that is a JWT says it ends, ms since the epoch; undefined where it does not say. Nothing is verified. */
export function expiryOf(secret: Secret): number | undefined {
  // Counted from the epoch, a lifetime is a point in time.
  const at = lifetimeOf({ accessToken: secret.reveal(), expiresIn: undefined, sentAt: 0 }, WHATEVER_IT_SAYS)
  return Number.isFinite(at) ? at : undefined
}

import type { Ask } from '../core/ask.ts'
import { isPermit, type Permit } from '../core/decide.ts'
import { Problem } from '../core/problem.ts'
import type { Purpose } from '../core/purpose.ts'
import type { Waiver } from '../core/waiver.ts'
import type { Credential } from '../credentials/credential.ts'
import type { Where } from './admit.ts'
import type { Connection } from './snapshot.ts'
import type { Stay } from './stay.ts'

/** What ends the wait. */
interface Ending {
  /** Calls back when the caller has gone, at once if it has gone already. */
  onGone(listener: () => void): void
  readonly stay: Stay
}

interface Terms extends Ending {
  readonly purpose: Purpose
}

/** Whom the credential of an ask is for. */
export function purposeOf({ caller, path }: Permit | Waiver, { method, fields }: Ask): Purpose {
  return { caller, method, path, fields }
}

/**
 * The credential that a permit stands for; undefined where the connection injects none. At once when there is a fresh
 * one, which is nearly always; a promise while it is being minted, which ends when the caller leaves or may no longer have it:
 * a mint is nobody's, and goes on for the others.
 * @throws Problem `credential-unavailable`, `credential-failed`, `access-revoked`
 */
export function obtain(
  permit: Permit,
  connection: Connection,
  where: Where,
  { purpose, ...ending }: Terms,
): Credential | undefined | Promise<Credential> {
  // The type keeps honest code honest; this keeps out what a cast or a prototype trick let through.
  if (!isPermit(permit) || permit.connection !== connection.name) {
    throw new Problem('internal-error', { reason: 'a forged permit' })
  }
  // Settings that say so are refused; this is for whatever else may come to make a grant.
  if (permit.wouldRefuse && connection.injection) {
    throw new Problem('internal-error', {
      reason: `grant ${permit.grant} is in report mode, which is never for credentials`,
    })
  }
  const credential = connection.supply.obtain(purpose)
  return credential instanceof Promise ? timed(unlessOver(credential, ending), where) : credential
}

/** Another credential in place of one that the upstream rejected; undefined when there is none that is any better. */
export function replace(
  rejected: Credential,
  connection: Connection,
  purpose: Purpose,
  where: Where,
): Promise<Credential | undefined> {
  return timed(connection.supply.rejected(rejected, purpose), where)
}

function unlessOver<T>(coming: Promise<T>, { onGone, stay }: Ending): Promise<T> {
  const reason = 'the caller left while it was being minted'
  const over = new Promise<never>((_resolve, reject) => {
    onGone(() => reject(new Problem('credential-unavailable', { reason })))
    stay.onCut(reject)
  })
  return Promise.race([coming, over])
}

async function timed<T extends Credential | undefined>(coming: Promise<T>, { trace, gate }: Where): Promise<T> {
  const before = gate.clock.monotonic()
  let credential: T | undefined
  try {
    credential = await coming
    return credential
  } finally {
    trace.waited(gate.clock.monotonic() - before, credential)
  }
}

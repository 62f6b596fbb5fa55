import { isPermit, type Permit } from '../core/decide.ts'
import { Problem } from '../core/problem.ts'
import type { Credential } from '../credentials/credential.ts'
import type { Connection, Gate } from './snapshot.ts'
import type { Trace } from './trace.ts'

interface Where {
  readonly trace: Trace
  readonly gate: Gate
}

/**
 * The credential that a permit stands for; undefined where the connection injects none. At once when there is a fresh
 * one, which is nearly always; a promise while it is being minted.
 * @throws Problem `credential-unavailable`, `credential-failed`
 */
export function obtain(
  permit: Permit,
  connection: Connection,
  where: Where,
): Credential | undefined | Promise<Credential> {
  // The type keeps honest code honest; this keeps out what a cast or a prototype trick let through.
  if (!isPermit(permit) || permit.connection !== connection.name) {
    throw new Problem('internal-error', { reason: 'a forged permit' })
  }
  const credential = connection.supply.obtain()
  return credential instanceof Promise ? timed(credential, where) : credential
}

/**
 * Another credential in place of one that the upstream rejected; undefined when there is none that is any better.
 * A failing issuer is no reason to hide the upstream's own answer, so nothing is thrown.
 */
export function replace(rejected: Credential, connection: Connection, where: Where): Promise<Credential | undefined> {
  return timed(
    connection.supply.rejected(rejected).catch(() => undefined),
    where,
  )
}

/**
 * Waits for a credential only as long as somebody waits for us: a mint is nobody's, and goes on for the others.
 * @throws Problem `credential-unavailable` when the caller has gone
 */
export function unlessGone<T>(coming: Promise<T>, onGone: (listener: () => void) => void): Promise<T> {
  const gone = new Promise<never>((_resolve, reject) =>
    onGone(() =>
      reject(new Problem('credential-unavailable', { reason: 'the caller left while it was being minted' })),
    ),
  )
  return Promise.race([coming, gone])
}

async function timed<T>(coming: Promise<T>, { trace, gate }: Where): Promise<T> {
  const before = gate.clock.monotonic()
  try {
    return await coming
  } finally {
    trace.waited(gate.clock.monotonic() - before)
  }
}

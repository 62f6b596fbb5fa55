import { isPermit, type Permit } from '../core/decide.ts'
import { Problem } from '../core/problem.ts'
import type { Credential } from '../credentials/credential.ts'
import type { Connection, Gate } from './snapshot.ts'
import type { Trace } from './trace.ts'

/**
 * The credential that a permit stands for; undefined where the connection injects none. Waits only while none is fresh.
 * @throws Problem `credential-unavailable`, `credential-failed`
 */
export async function obtain(
  permit: Permit,
  connection: Connection,
  trace: Trace,
  gate: Gate,
): Promise<Credential | undefined> {
  // The type keeps honest code honest; this keeps out what a cast or a prototype trick let through.
  if (!isPermit(permit) || permit.connection !== connection.name)
    throw new Problem('internal-error', { reason: 'a forged permit' })
  const before = gate.clock.monotonic()
  const credential = await connection.supply.obtain()
  note(credential, connection, gate.clock.monotonic() - before, { trace, gate })
  return credential
}

/**
 * Another credential in place of one that the upstream rejected; undefined when there is none that is any better.
 * A failing issuer is no reason to hide the upstream's own answer, so nothing is thrown.
 */
export async function replace(
  rejected: Credential,
  connection: Connection,
  trace: Trace,
  gate: Gate,
): Promise<Credential | undefined> {
  const before = gate.clock.monotonic()
  const next = await connection.supply.rejected(rejected).catch(() => undefined)
  if (next) note(next, connection, gate.clock.monotonic() - before, { trace, gate })
  return next
}

interface Where {
  readonly trace: Trace
  readonly gate: Gate
}

function note(
  credential: Credential | undefined,
  connection: Connection,
  waitedMs: number,
  { trace, gate }: Where,
): void {
  const used = credential && {
    source: connection.source,
    version: credential.version,
    fingerprint: credential.secret.fingerprint(gate.fingerprintKey),
  }
  trace.obtained(used, waitedMs)
}

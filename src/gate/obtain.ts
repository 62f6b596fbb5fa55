import type { CredentialUsed } from '../audit/entry.ts'
import { isPermit, type Permit } from '../core/decide.ts'
import { Problem } from '../core/problem.ts'
import type { Credential } from '../credentials/credential.ts'
import type { Connection, Gate } from './snapshot.ts'
import type { Trace } from './trace.ts'

/**
 * The credential that a permit stands for; undefined where the connection injects none. Waits only while none is fresh.
 * @throws Problem `credential-unavailable`, `credential-failed`
 */
export function obtain(
  permit: Permit,
  connection: Connection,
  trace: Trace,
  gate: Gate,
): Credential | undefined | Promise<Credential> {
  // The type keeps honest code honest; this keeps out what a cast or a prototype trick let through.
  if (!isPermit(permit) || permit.connection !== connection.name)
    throw new Problem('internal-error', { reason: 'a forged permit' })
  const credential = connection.supply.obtain()
  if (credential instanceof Promise) return waitFor(credential, connection, trace, gate)
  note(credential, connection, 0, { trace, gate })
  return credential
}

async function waitFor(
  coming: Promise<Credential>,
  connection: Connection,
  trace: Trace,
  gate: Gate,
): Promise<Credential> {
  const before = gate.clock.monotonic()
  const credential = await coming
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
  trace.obtained(credential && usedOf(credential, connection, gate), waitedMs)
}

/** One token serves thousands of asks, and its fingerprint is the same for all of them. */
const known = new WeakMap<Credential['secret'], CredentialUsed>()

function usedOf({ secret, version }: Credential, { source }: Connection, gate: Gate): CredentialUsed {
  const before = known.get(secret)
  if (before?.version === version) return before
  const used = { source, version, fingerprint: secret.fingerprint(gate.fingerprintKey) }
  known.set(secret, used)
  return used
}

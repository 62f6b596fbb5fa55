import { randomUUIDv7 } from 'node:crypto'
import type { StoredLogin } from '../core/holdings.ts'
import type { Revocation, Revoking } from '../credentials/login/desk.ts'
import { z } from '../forms/zod.ts'
import { subjectOf } from './login-view.ts'
import type { Operator } from './operators.ts'
import type { AdminPorts } from './ports.ts'
import { named } from './shapes.ts'

/** What has become of a login at its authorization server. */
export const tokenRevocation = named(
  'TokenRevocation',
  z.strictObject({
    outcome: z.enum(['revoked', 'nothing', 'not-offered', 'pending', 'failed']).meta({
      description:
        '`revoked`: what it gave for the login has ended there; `nothing`: it had ended before; `not-offered`: nobody knows where it would do that (RFC 7009); `pending`: not yet, and it is tried again; `failed`: it is good there until it ends',
    }),
    tries: z.int().meta({ description: 'how often it was asked' }),
    reason: z.string().optional().meta({ description: 'why not, or what is left' }),
  }),
)

export type RevocationView = z.infer<typeof tokenRevocation>

/** A login that was taken away, and what is being done about it at its authorization server. */
export interface Leaving {
  readonly login: StoredLogin
  /** Whose it was, unless it was everybody's. */
  readonly caller: string | undefined
  readonly revoking: Revoking
}

/** Has the end of it written to the audit, whenever that is, and answers with what has come of it in some seconds. */
export async function revocationTold(
  { login, caller, revoking }: Leaving,
  operator: Operator,
  ports: AdminPorts,
): Promise<RevocationView> {
  const record = (revocation: Revocation) => {
    if (revocation.outcome !== 'nothing') ports.change(changeOf({ login, caller }, revocation, { operator, ports }))
  }
  void revoking.last.then(record)
  return viewOf(await revoking.first)
}

function changeOf(
  { login: { id: login, connection }, caller }: Pick<Leaving, 'login' | 'caller'>,
  revocation: Revocation,
  { operator, ports }: { readonly operator: Operator; readonly ports: AdminPorts },
) {
  return {
    time: new Date(ports.clock.now()).toISOString(),
    id: randomUUIDv7(),
    operator: operator.name,
    proof: operator.proof,
    action: 'login.revoke',
    subject: subjectOf(connection, caller),
    before: undefined,
    after: { login, ...viewOf(revocation) },
    code: revocation.outcome === 'failed' ? 'revocation-failed' : undefined,
  }
}

function viewOf({ outcome, tries, reason }: Revocation): RevocationView {
  return { outcome, tries, ...(reason !== undefined && { reason }) }
}

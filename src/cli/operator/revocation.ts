import type { RevocationView } from '../../admin/token-revocation.ts'
import { EXIT } from '../exit-codes.ts'
import type { Said } from './verb.ts'

/**
 * What the authorization server has done about a login that is gone here, as a verb says it. Exit 1 where it was asked in vain:
 * whoever has what it gave can go on using it there.
 */
export function revocationSaid({ outcome, reason = '' }: RevocationView): SaidOfIt {
  return SAID[outcome](reason)
}

type SaidOfIt = Pick<Said, 'note' | 'exitCode'>

const SAID: Readonly<Record<RevocationView['outcome'], (reason: string) => SaidOfIt>> = {
  revoked: (reason) => ({ note: `revoked at the authorization server${reason === '' ? '' : `; ${reason}`}` }),
  nothing: () => ({}),
  'not-offered': () => ({
    note: 'the authorization server was not told: it is not known to revoke tokens (revocationEndpoint), so what it gave is good there until it ends',
  }),
  pending: (reason) => ({
    note: `not yet revoked at the authorization server: ${reason}; it is tried again for a quarter of an hour, and \`sallyport audit search\` has a login.revoke at the end`,
    exitCode: EXIT.refused,
  }),
  failed: (reason) => ({
    note: `NOT revoked at the authorization server: ${reason}; revoke it there: what it gave is good until it ends`,
    exitCode: EXIT.refused,
  }),
}

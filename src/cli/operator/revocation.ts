import type { RevocationView } from '../../admin/token-revocation.ts'
import { EXIT } from '../exit-codes.ts'
import type { Said } from './verb.ts'

/**
 * What the authorization server has done about a login that is gone here, as a verb says it. Exit 1 where it was asked in vain:
 * whoever has what it gave can go on using it there.
 */
export function revocationSaid({ outcome, reason = '' }: RevocationView): Pick<Said, 'note' | 'exitCode'> {
  switch (outcome) {
    case 'revoked':
      return { note: `revoked at the authorization server${reason === '' ? '' : `; ${reason}`}` }
    case 'nothing':
      return {}
    case 'not-offered':
      return { note: NOT_OFFERED }
    case 'pending':
      return { note: `not yet revoked at the authorization server: ${reason}; ${PENDING}`, exitCode: EXIT.refused }
    case 'failed':
      return { note: `NOT revoked at the authorization server: ${reason}; ${FAILED}`, exitCode: EXIT.refused }
  }
}

const NOT_OFFERED =
  'the authorization server was not told: it is not known to revoke tokens (revocationEndpoint), so what it gave is good there until it ends'
const PENDING = 'it is tried again for a quarter of an hour, and `sallyport audit search` has a login.revoke at the end'
const FAILED = 'revoke it there: what it gave is good until it ends'

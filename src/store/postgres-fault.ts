import { codeOf } from '../wire/opening.ts'
import type { DatabaseFault } from './database.ts'
import { StoreError } from './store.ts'

/** What PostgreSQL or the way to it failed at, in our words. @see https://www.postgresql.org/docs/current/errcodes-appendix.html */
export function postgresFault(error: unknown, place: string): DatabaseFault {
  if (error instanceof StoreError) return { code: 'lost', words: error.message }
  const code = codeOf(error)
  if (code === '23505') return { code: 'taken', words: 'it is there already' }
  return { code: 'lost', words: `the PostgreSQL at ${place} ${WORDS.get(code) ?? otherWords(error, code)}` }
}

const WORDS = new Map([
  ['28P01', 'refuses the user or the password: mend the URL'],
  ['28000', 'refuses this user from here: mend the URL, or pg_hba.conf'],
  ['3D000', 'has no such database: create it, or mend the URL'],
  ['3F000', 'has no such schema: create it, or mend the URL'],
  ['42501', 'does not let this user do that: grant it "create" and "usage" on its schema'],
  ['42P01', 'has lost tables of ours: restore a backup'],
  ['53100', 'cannot grow: its disk is full'],
  ['53300', 'has no connection left: raise max_connections, or run fewer instances'],
  ['57014', 'took too long to answer'],
  ['57P01', 'is shutting down'],
  ['57P03', 'is starting up, or shutting down'],
  ['25006', 'is read-only: name the primary'],
  ['ECONNREFUSED', 'refuses the connection: start it, or mend the URL'],
  ['ECONNRESET', 'broke the connection off'],
  ['ENOTFOUND', 'has a name that does not resolve: mend the URL'],
  ['ENOENT', 'has no socket there: start it, or mend the URL'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'has a certificate for another name: use the name it was issued for'],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'has a certificate of an authority that is not trusted: name that one in tls.ca'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'has a certificate that is not trusted: name its authority in tls.ca'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'has a certificate that is not trusted: name its authority in tls.ca'],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'has a certificate that is not trusted: name its authority in tls.ca'],
  ['CERT_HAS_EXPIRED', 'has a certificate that has expired: renew it'],
])

function otherWords(error: unknown, code: string): string {
  // pg has no code for this one [8.23].
  if (error instanceof Error && error.message === 'The server does not support SSL connections')
    return 'does not speak TLS: set "ssl = on" there'
  return code === 'no code' || code === 'undefined' ? 'does not answer' : `cannot be used (${code})`
}

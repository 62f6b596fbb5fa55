import { constants, X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContext } from 'node:tls'
import { HostTable } from '../core/host-table.ts'
import { Problem } from '../core/problem.ts'
import { type Context, ContextCache } from './context-cache.ts'
import { spellingOf } from './names.ts'
import { oneAtATime } from './one-at-a-time.ts'
import { type AuthorityTerms, BACKDATED_MS, foundRoot } from './root.ts'
import { type Identity, issuerOf, newKeys, privatePem, sign } from './x509.ts'

export type { AuthorityTerms } from './root.ts'

/** Vouches for the hosts whose TLS we end ourselves. */
export interface CertificateAuthority {
  /** Ours alone. */
  readonly certificatePem: string
  /** Ms since the epoch. */
  readonly expiresAt: number
  /**
   * The context to present as `host`: a canonical name ("api.example.com") or address ("10.0.0.7", "[::1]"). Kept for
   * the 500 hosts asked for last, made once for all who ask meanwhile.
   * @throws Problem `internal-error` for a host that is not ours to be, and once the authority has expired
   */
  contextFor(host: string): Promise<SecureContext>
}

const HOUR_MS = 3_600_000
const LEAF_LIFE_MS = 24 * HOUR_MS
const MAX_CONTEXTS = 500

/** An authority that nobody has heard of before, and that is gone with the process. */
export async function ephemeralAuthority(terms: AuthorityTerms): Promise<CertificateAuthority> {
  return authorityOf(await foundRoot(terms), terms)
}

/** The authority with this key and certificate. All its leaves have one key, which never leaves the memory. */
export async function authorityOf(root: Identity, { hosts, now }: AuthorityTerms): Promise<CertificateAuthority> {
  const issuer = await issuerOf(root)
  const keys = await newKeys()
  const key = await privatePem(keys)
  const expiresAt = new X509Certificate(root.cert).validToDate.getTime()
  const ours = new HostTable(hosts.map((pattern) => [spellingOf(pattern), true]))
  const inTurn = oneAtATime()

  async function make(host: string): Promise<Context> {
    const start = now()
    if (start >= expiresAt) throw refused('the certificate authority has expired: run `sallyport ca rotate`')
    const from = start - BACKDATED_MS
    const until = Math.min(start + LEAF_LIFE_MS, expiresAt)
    const cert = await sign({ keys, from, until, use: { hosts: [host] } }, issuer)
    // The last hour of the authority is the last hour of its leaves as well: a new one would not last longer.
    return { secure: contextOf(key, cert), from, until: until === expiresAt ? until : until - HOUR_MS }
  }

  const contexts = new ContextCache({ limit: MAX_CONTEXTS, now, make: (host) => inTurn(() => make(host)) })

  async function contextFor(host: string): Promise<SecureContext> {
    const spelling = spellingOf(host)
    if (ours.find(spelling) === undefined) throw refused(`${host} is no host that this authority may vouch for`)
    return contexts.get(spelling)
  }

  return { certificatePem: root.cert, expiresAt, contextFor }
}

/** Without tickets no session is resumed, neither under this name nor under another. */
function contextOf(key: string, cert: string): SecureContext {
  const secureOptions = constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_TICKET
  return createSecureContext({ key, cert, minVersion: 'TLSv1.2', secureOptions })
}

function refused(reason: string): Problem {
  return new Problem('internal-error', { reason })
}

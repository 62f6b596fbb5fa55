import { type Draft, type Identity, type Issuer, issuerOf, newKeys, privatePem, selfSign, sign } from '../ca/x509.ts'

export type { Identity } from '../ca/x509.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** A certificate authority for one run of the playground or of a test: its key never leaves the process that made it. */
export interface Authority {
  readonly certPem: string
  /** A server certificate for these DNS names and IP addresses. `expired`: it ended an hour ago. */
  issue(hosts: readonly string[], options?: { readonly expired?: boolean }): Promise<Identity>
}

/** A new authority for any name: ECDSA P-256, valid for a day. */
export async function makeAuthority(name = 'Sallyport playground authority'): Promise<Authority> {
  const keys = await newKeys()
  const certPem = await selfSign({ ...validFor(DAY_MS), keys, use: { commonName: name } })
  const issuer = await issuerOf({ key: await privatePem(keys), cert: certPem })
  return {
    certPem,
    issue: (hosts, { expired = false } = {}) => issueLeaf({ issuer, hosts, expired }),
  }
}

/** A server certificate that vouches for itself alone. */
export async function makeSelfSigned(hosts: readonly string[]): Promise<Identity> {
  const keys = await newKeys()
  const cert = await selfSign({ ...validFor(DAY_MS), keys, use: { hosts } })
  return { key: await privatePem(keys), cert }
}

interface Order {
  readonly issuer: Issuer
  readonly hosts: readonly string[]
  readonly expired: boolean
}

async function issueLeaf({ issuer, hosts, expired }: Order): Promise<Identity> {
  const keys = await newKeys()
  const cert = await sign({ ...validFor(expired ? -HOUR_MS : DAY_MS), keys, use: { hosts } }, issuer)
  return { key: await privatePem(keys), cert }
}

function validFor(ms: number): Pick<Draft, 'from' | 'until'> {
  return { from: Date.now() - DAY_MS, until: Date.now() + ms }
}

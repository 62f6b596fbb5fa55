import { constraintsFor } from './name-constraints.ts'
import { type Identity, newKeys, privatePem, selfSign } from './x509.ts'

/** What an authority may sign, and what the time is. */
export interface AuthorityTerms {
  /** What may be intercepted: exact names, "*.suffix", addresses. */
  readonly hosts: readonly string[]
  /** Ms since the epoch. */
  readonly now: () => number
}

/** How far back a certificate starts, for clients whose clock is behind. */
export const BACKDATED_MS = 3_600_000

/** How the subject of every authority of ours begins. */
export const ROOT_NAME = 'Sallyport local CA'

const LIFE_MS = 397 * 24 * 3_600_000

/** A new authority: its key and its certificate. */
export async function foundRoot({ hosts, now }: AuthorityTerms): Promise<Identity> {
  const keys = await newKeys()
  const start = now()
  const cert = await selfSign({
    keys,
    from: start - BACKDATED_MS,
    until: start + LIFE_MS,
    // A name of its own, so that two of them in one trust store are told apart.
    use: { commonName: `${ROOT_NAME} ${keys.id.slice(0, 8)}`, nameConstraints: await constraintsFor(hosts) },
  })
  return { key: await privatePem(keys), cert }
}

/** Whether a certificate's subject, as Node writes it, is one that such an authority has. */
export function isNameOfRoot(subject: string): boolean {
  return subject.startsWith(`CN=${ROOT_NAME} `)
}

import type { ReadableClientCertificate } from '../core/certificate.ts'
import { PURPOSES } from '../wire/certificate.ts'
import { KeptVerdict } from '../wire/certificate-verdict.ts'
import type { Authorities } from './spiffe-bundle.ts'
import { parseSpiffeId, type SpiffeId } from './spiffe-id.ts'

/** Whether a certificate means to be an SVID at all; others are for others to judge. */
export function claimsId({ leaf }: ReadableClientCertificate): boolean {
  return leaf.uris.some((uri) => /^spiffe:/i.test(uri))
}

/**
 * The SPIFFE ID that a certificate claims, or why it is no X.509-SVID of a workload, in words. Nobody has vouched for it yet:
 * it says whose authorities are to be asked.
 * @see X509-SVID section 5.2
 */
export function claimedId({ leaf }: ReadableClientCertificate): SpiffeId | string {
  const [uri, ...others] = leaf.uris
  if (uri === undefined || others.length > 0) return 'it names more than one URI'
  const id = parseSpiffeId(uri)
  if (!id) return 'its URI is not the SPIFFE ID of a workload'
  if (leaf.authority) return 'it is an authority, which is nobody'
  if (!leaf.keyUses?.includes('digitalSignature')) return 'its key usage lacks digitalSignature'
  if (leaf.keyUses.length > 1) return 'its key may sign certificates'
  return leaf.extendedKeyUses?.includes(PURPOSES.clientAuth) === false ? 'it is not one for clients' : id
}

/** Verdicts about the certificates of open connections, by what was asked about them: gone with the connection. */
export class Svids {
  readonly #verdicts = new WeakMap<ReadableClientCertificate, Map<object, KeptVerdict>>()

  /** Why these authorities do not vouch for it at this time; undefined: they do. `by`: whose they are. */
  faultAt(
    certificate: ReadableClientCertificate,
    { anchors }: Authorities,
    { by, at }: { readonly by: object; readonly at: number },
  ): string | undefined {
    if (anchors.length === 0) return 'the bundle of its trust domain has no authority for X.509-SVIDs'
    return this.#verdictOf(certificate, by).faultAt(anchors, at)
  }

  #verdictOf(certificate: ReadableClientCertificate, by: object): KeptVerdict {
    const all = this.#verdicts.get(certificate) ?? new Map<object, KeptVerdict>()
    this.#verdicts.set(certificate, all)
    const verdict = all.get(by) ?? new KeptVerdict(certificate.leaf, certificate.others)
    all.set(by, verdict)
    return verdict
  }
}

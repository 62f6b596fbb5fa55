import type { Certificate } from '../core/certificate.ts'
import { type Verdict, verifyChain } from './certificate-chain.ts'

/** For how long a refusal is repeated before it is judged anew; a caller must not make us verify as often as it asks. */
const REFUSED_MS = 1_000

/**
 * What some authorities say of one certificate, asked at every request. Signatures are verified when that is needed: at
 * first, when the authorities are others, when a certificate on the way has expired, when the clock went back.
 */
export class KeptVerdict {
  readonly #leaf: Certificate
  readonly #others: readonly Certificate[]
  #kept: { readonly anchors: readonly Certificate[]; readonly at: number; readonly verdict: Verdict } | undefined

  constructor(leaf: Certificate, others: readonly Certificate[]) {
    this.#leaf = leaf
    this.#others = others
  }

  /** Why they do not vouch for it at this time, in words; undefined: they do. Other authorities are another array. */
  faultAt(anchors: readonly Certificate[], at: number): string | undefined {
    const kept = this.#kept
    const isFresh = kept?.anchors === anchors && at >= kept.at && at <= untilOf(kept.verdict, kept.at)
    if (isFresh) return kept.verdict.fault
    const verdict = verifyChain({ leaf: this.#leaf, others: this.#others, anchors, at })
    this.#kept = { anchors, at, verdict }
    return verdict.fault
  }
}

function untilOf(verdict: Verdict, at: number): number {
  return verdict.fault === undefined ? verdict.until : at + REFUSED_MS
}

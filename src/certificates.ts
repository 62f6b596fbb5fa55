import { X509Certificate } from 'node:crypto'
import { FileReference } from './forms/network.ts'
import type { References } from './secrets/reference.ts'
import { pathText } from './settings/fault.ts'
import { referencesIn } from './settings/open.ts'

/** A certificate that we show, where the settings name it, and its time: ms since the epoch. */
export interface ShownCertificate {
  /** `door`: to whoever calls; `client`: to an upstream or an issuer. */
  readonly use: 'door' | 'client'
  /** `connections.crm.tls.certificate` */
  readonly place: string
  readonly validFrom: number
  readonly expiresAt: number
}

type Life = Pick<ShownCertificate, 'validFrom' | 'expiresAt'>

/** Texts that are remembered: those of all files, and some that were there before. */
const MAX_TEXTS = 500

/** The certificates that settings let us show, as their files stand; a text is parsed once. */
export class ShownCertificates {
  readonly #lives = new Map<string, Life | undefined>()

  /** Of one part of the settings, or several. */
  of(parts: object, references: Pick<References, 'file'>): readonly ShownCertificate[] {
    return referencesIn(parts).flatMap(({ path, reference }) => {
      if (path.at(-1) !== 'certificate' || !(reference instanceof FileReference)) return []
      const life = this.#lifeOf(references.file(reference))
      const use = path[0] === 'listeners' ? 'door' : 'client'
      return life ? [{ use, place: pathText(path), ...life }] : []
    })
  }

  #lifeOf(text: string): Life | undefined {
    if (this.#lives.has(text)) return this.#lives.get(text)
    if (this.#lives.size >= MAX_TEXTS) this.#lives.clear()
    const life = lifeOf(text)
    this.#lives.set(text, life)
    return life
  }
}

/** Of the first certificate in a PEM text, which is ours; undefined where there is none. */
export function lifeOf(pem: string): Life | undefined {
  try {
    const { validFromDate, validToDate } = new X509Certificate(pem)
    return { validFrom: validFromDate.getTime(), expiresAt: validToDate.getTime() }
  } catch {
    return undefined
  }
}

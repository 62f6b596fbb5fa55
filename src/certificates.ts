import { X509Certificate } from 'node:crypto'
import { FileReference } from './forms/network.ts'
import type { References } from './secrets/reference.ts'
import { pathText } from './settings/fault.ts'
import { referencesIn } from './settings/open.ts'
import type { Settings } from './settings/schema.ts'

/** A certificate that we show, where the settings name it, and its time: ms since the epoch. */
export interface ShownCertificate {
  /** `door`: to whoever calls; `client`: to an upstream or an issuer. */
  readonly use: 'door' | 'client'
  /** `connections.crm.tls.certificate` */
  readonly place: string
  readonly validFrom: number
  readonly expiresAt: number
}

/** Reads, at each call, the certificates that these settings let us show; parses a text once. */
export function shownCertificates(
  settings: Pick<Settings, 'listeners' | 'connections'>,
  references: Pick<References, 'file'>,
): () => readonly ShownCertificate[] {
  const places = Object.entries({ listeners: settings.listeners, connections: settings.connections })
    .flatMap(([name, part]) => referencesIn(part, [name]))
    .flatMap(({ path, reference }) =>
      path.at(-1) === 'certificate' && reference instanceof FileReference ? [{ path, reference }] : [],
    )
  const read = new Map<string, Life | undefined>()
  return function shown() {
    return places.flatMap(({ path, reference }) => {
      const text = references.file(reference)
      if (!read.has(text)) {
        // What was there before is not shown again.
        if (read.size > 2 * places.length) read.clear()
        read.set(text, lifeOf(text))
      }
      const life = read.get(text)
      const use = path[0] === 'listeners' ? 'door' : 'client'
      return life ? [{ use, place: pathText(path), ...life }] : []
    })
  }
}

type Life = Pick<ShownCertificate, 'validFrom' | 'expiresAt'>

/** Of the first certificate in a PEM text, which is ours; undefined where there is none. */
export function lifeOf(pem: string): Life | undefined {
  try {
    const { validFromDate, validToDate } = new X509Certificate(pem)
    return { validFrom: validFromDate.getTime(), expiresAt: validToDate.getTime() }
  } catch {
    return undefined
  }
}

import { FileReference } from '../forms/network.ts'
import { type References, SecretReference } from '../secrets/reference.ts'
import { faultOfPair } from '../wire/certificate-pair.ts'
import { faultOfServerCertificate } from '../wire/server-tls.ts'
import type { SettingsFault } from './fault.ts'
import type { Settings } from './schema.ts'

interface Read extends References {
  /** What is not yet open is not yet judged. */
  isOpen(key: SecretReference): boolean
}

/** What shows only once what the settings refer to has been read: things that do not belong together. `at`: ms since the epoch. */
export function openedFaults({ listeners, connections }: Settings, references: Read, at: number): SettingsFault[] {
  return [
    ...listeners.flatMap(({ tls }, index) => {
      if (!tls || !references.isOpen(tls.key)) return []
      const fault = faultOfServerCertificate(
        references.file(tls.certificate),
        references.secret(tls.key).current().secret,
        at,
      )
      return fault ? [{ path: ['listeners', index, 'tls', fault.of], message: fault.message }] : []
    }),
    ...clientFaults(connections, ['connections'], references),
  ]
}

/** One that has expired keeps nobody from starting: it is the other side that refuses it, and one connection that fails. */
function clientFaults(value: unknown, path: readonly PropertyKey[], references: Read): SettingsFault[] {
  if (typeof value !== 'object' || value === null) return []
  const parts = Object.entries(value).flatMap(([key, part]) => clientFaults(part, [...path, key], references))
  if (!isPair(value) || !references.isOpen(value.key)) return parts
  const fault = faultOfPair(references.file(value.certificate), references.secret(value.key).current().secret)
  return fault ? [...parts, { path: [...path, fault.of], message: fault.message }] : parts
}

function isPair(value: object): value is { readonly certificate: FileReference; readonly key: SecretReference } {
  const { certificate, key } = value as { certificate?: unknown; key?: unknown } // any object may be asked
  return certificate instanceof FileReference && key instanceof SecretReference
}

import type { References } from '../secrets/reference.ts'
import { faultOfServerCertificate } from '../wire/server-tls.ts'
import type { SettingsFault } from './fault.ts'
import type { Settings } from './schema.ts'

/** What shows only once everything that the settings refer to has been read: things that do not belong together. */
export function openedFaults({ listeners }: Settings, references: References, at: number): SettingsFault[] {
  return listeners.flatMap(({ tls }, index) => {
    if (!tls) return []
    const fault = faultOfServerCertificate(
      references.file(tls.certificate),
      references.secret(tls.key).current().secret,
      at,
    )
    return fault ? [{ path: ['listeners', index, 'tls', fault.of], message: fault.message }] : []
  })
}

import type { References, SecretReference } from '../secrets/reference.ts'
import { faultOfServerCertificate } from '../wire/server-tls.ts'
import { clientFaults } from './client-checks.ts'
import type { SettingsFault } from './fault.ts'
import { keyFaults } from './key-checks.ts'
import { programFaults } from './program-checks.ts'
import type { Settings } from './schema.ts'

interface Read extends References {
  /** What is not yet open is not yet judged. */
  isOpen(key: SecretReference): boolean
}

/** What shows only once what the settings refer to has been read: things that do not belong together. `at`: ms since the epoch. */
export function openedFaults(settings: Settings, references: Read, at: number): SettingsFault[] {
  return [
    ...certificateFaults(settings, references, at),
    ...clientFaults(settings, references),
    ...keyFaults(settings, references),
    ...programFaults(settings, process.env),
  ]
}

function certificateFaults({ listeners }: Settings, references: Read, at: number): SettingsFault[] {
  return listeners.flatMap((listener, index) => {
    const tls = 'tls' in listener ? listener.tls : undefined
    if (!tls || !references.isOpen(tls.key)) return []
    const fault = faultOfServerCertificate(
      references.file(tls.certificate),
      references.secret(tls.key).current().secret,
      at,
    )
    return fault ? [{ path: ['listeners', index, 'tls', fault.of], message: fault.message }] : []
  })
}

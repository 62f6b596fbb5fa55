import { faultsOfCallers } from '../callers/registry.ts'
import type { SettingsFault } from './fault.ts'
import type { Settings } from './schema.ts'

/** What no single field of the operators shows: proofs that two share, and proofs that this door never sees. */
export function operatorFaults({ admin }: Settings): SettingsFault[] {
  if (!admin) return []
  const proofs = Object.entries(admin.operators).map(([name, { proof }]) => [name, proof] as const)
  const at = (name: string) => ['admin', 'operators', name, 'proof']
  const shared = faultsOfCallers(Object.fromEntries(proofs)).map(({ caller, message }) => ({
    path: at(caller),
    message,
  }))
  const unfit = proofs.flatMap(([name, { kind }]) => {
    const message = unfitFor(kind, admin.listen)
    return message === undefined ? [] : [{ path: [...at(name), 'kind'], message }]
  })
  return [...shared, ...unfit]
}

function unfitFor(kind: string, listen: string): string | undefined {
  if (kind === 'socket') return 'use another kind: whoever can open the admin door is not yet an operator'
  if (kind === 'mtls') return 'use another kind: the admin door has no TLS that a certificate could be shown in'
  if (kind === 'unix-peer' && !listen.startsWith('unix:'))
    return 'use another kind, or have admin.listen be a unix: socket: on TCP the kernel says nothing of the peer'
  return undefined
}

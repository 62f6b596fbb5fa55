import type { SettingsFault } from './fault.ts'
import type { Settings } from './schema.ts'

/** Apps that know of no proxy speak TLS, nearly all of them: a door that can neither open it nor pass it on is for none. */
export function closedToTls({ listeners, ca, connections }: Settings): SettingsFault[] {
  const isOpen = ca !== undefined || Object.values(connections).some(({ connect }) => connect === 'tunnel')
  if (isOpen) return []
  const message = 'will refuse all TLS: add "ca", so that it can be opened, or "connect: tunnel" to a connection'
  return listeners.flatMap(({ kind }, index) =>
    kind === 'transparent' ? [{ path: ['listeners', index], message }] : [],
  )
}

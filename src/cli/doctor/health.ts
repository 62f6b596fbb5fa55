import { ask } from './admin.ts'
import { atChosenPort, serveLine } from './doors.ts'
import { examine, type Told } from './finding.ts'
import { fixedPlace, type Site } from './site.ts'

/** Whether the door of probes of a running sidecar answers them. */
export async function examineHealth({ loaded }: Site): Promise<readonly Told[]> {
  const { health } = loaded.settings
  if (!health) return []
  const subject = `health ${health.listen}`
  const place = fixedPlace(health.listen, loaded)
  if (!place) return [atChosenPort(subject)]
  return examine(subject, async (signal) => {
    const answer = await ask(place, '/readyz', signal)
    if (typeof answer !== 'string')
      return [{ subject, state: 'failed', says: `nobody answers (${answer.code})`, remedy: serveLine(loaded.file) }]
    if (answer === '{"status":"ok"}\n') return [{ subject, state: 'ok', says: 'probes are told that it is ready' }]
    return [{ subject, state: 'failed', says: 'what answers does not say ready', remedy: OTHER_PORT }]
  })
}

const OTHER_PORT = 'see its log: it is shutting down, or give health.listen an address of its own'

import { SettingsError } from '../../settings/fault.ts'
import { type Loaded, loadSettings } from '../../settings/load.ts'
import type { Told } from './finding.ts'

/** Whether the settings can be read. Without them there is nothing else to look at. */
export async function examineSettings(file: string): Promise<{ loaded?: Loaded; told: readonly Told[] }> {
  try {
    const loaded = await loadSettings(file)
    const warnings = loaded.warnings.map((line) => ({ ...fromLine(line), state: 'warning' as const }))
    return { loaded, told: [{ subject: file, state: 'ok', says: 'can be read, and is right in itself' }, ...warnings] }
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error
    return { told: error.lines.map((line) => ({ ...fromLine(line), state: 'failed' })) }
  }
}

/** `file:line:col path: message`. The message says which form to use. */
function fromLine(line: string): Omit<Told, 'state'> {
  const [, subject = line, says = ''] = /^(.*?:\d+:\d+(?: \S+(?=: ))?):? (.*)$/.exec(line) ?? []
  return { subject, says }
}

import { SettingsError } from '../settings/fault.ts'
import { listeningIn } from '../settings/listening.ts'
import { loadSettings } from '../settings/load.ts'
import { openVisible } from '../settings/open.ts'
import { placeFaults } from '../settings/place-checks.ts'
import { keyWarnings } from './caller-key.ts'
import { clientSecretWarnings } from './client-secret-warnings.ts'
import { orSettingsExit } from './failing.ts'

/** `sallyport check`: what `serve` would find wrong before it listens, as far as looking tells, and nothing is started. */
export async function check(file: string): Promise<void> {
  await orSettingsExit(async () => {
    const loaded = await loadSettings(file)
    const references = await openVisible(loaded, process.env)
    const place = { loaded, env: process.env }
    const unfit = clientSecretWarnings(place, references)
    references.close()
    const misplaced = await placeFaults(loaded, Date.now)
    if (misplaced.length > 0) throw new SettingsError(loaded.locateAll(misplaced))
    const warnings = [...loaded.warnings, ...(await keyWarnings(place)), ...unfit, ...references.left]
    for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`)
    const { listeners, callers, connections, grants } = loaded.settings
    const counts = [
      inNumbers('listener', listeners),
      inNumbers('caller', callers),
      inNumbers('connection', connections),
      inNumbers('grant', grants),
    ]
    process.stdout.write(`${file} is right: ${counts.join(', ')}\n`)
    const passed = listeningIn(loaded.settings).flatMap((one) =>
      one.systemd ? [`${one.systemd} at ${one.listen}`] : [],
    )
    if (passed.length > 0) process.stdout.write(`to come from systemd when it starts: ${passed.join(', ')}\n`)
    process.stdout.write(`settings digest: ${loaded.digest}\n`)
  })
}

function inNumbers(what: string, all: object): string {
  const count = Object.keys(all).length
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

import { loadSettings } from '../settings/load.ts'
import { openReferences } from '../settings/open.ts'
import { orSettingsExit } from './failing.ts'

/** `sallyport check`: everything `serve` would find wrong before it listens, and nothing is started. */
export async function check(file: string): Promise<void> {
  await orSettingsExit(async () => {
    const loaded = await loadSettings(file)
    const references = await openReferences(loaded, () => undefined)
    references.close()
    for (const warning of loaded.warnings) process.stderr.write(`warning: ${warning}\n`)
    const { listeners, callers, connections, grants } = loaded.settings
    const count = (what: object) => Object.keys(what).length
    process.stdout.write(
      `${file} is right: ${listeners.length} listeners, ${count(callers)} callers, ${count(connections)} connections, ${grants.length} grants\n`,
    )
  })
}

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
    for (const one of references.left) process.stderr.write(`warning: ${one}, which \`check\` does not open\n`)
    const { listeners, callers, connections, grants } = loaded.settings
    const counts = [
      inNumbers('listener', listeners),
      inNumbers('caller', callers),
      inNumbers('connection', connections),
      inNumbers('grant', grants),
    ]
    process.stdout.write(`${file} is right: ${counts.join(', ')}\n`)
  })
}

function inNumbers(what: string, all: object): string {
  const count = Object.keys(all).length
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

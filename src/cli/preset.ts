import { presets } from '../settings/presets/registry.ts'
import { yamlText } from '../settings/yaml-text.ts'
import { EXIT } from './exit-codes.ts'
import { jsonOf, tableOf } from './operator/output.ts'

interface Options {
  readonly json?: true
}

/** `sallyport preset list`: every preset there is. */
export function listPresets({ json }: Options): void {
  const rows = [...presets].map(([name, { about, kinds }]) => ({ name, about, kinds: Object.keys(kinds) }))
  const table = tableOf(
    rows,
    [
      { head: 'preset', text: ({ name }) => name },
      { head: 'credentials', text: ({ kinds }) => kinds.join(', ') },
      { head: 'for', text: ({ about }) => about },
    ],
    'no presets',
  )
  process.stdout.write(json ? jsonOf(rows) : table)
}

/** `sallyport preset show`: what a preset fills in, as it is. */
export function showPreset(name: string, { json }: Options): void {
  const preset = presets.get(name)
  if (preset) process.stdout.write(json ? jsonOf({ name, ...preset }) : yamlText({ name, ...preset }))
  else {
    process.stderr.write(`there is no such preset: use one of ${[...presets.keys()].join(', ')}\n`)
    process.exitCode = EXIT.settings
  }
}

import { cpSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { CHART } from './helm.ts'

/** The files that the README of the chart shows, by the name that each block has: ```yaml file=NAME. */
export function filesOfReadme(): ReadonlyMap<string, string> {
  const text = readFileSync(join(CHART, 'README.md'), 'utf8')
  return new Map(
    [...text.matchAll(/^```yaml file=(\S+)\n([\s\S]*?)^```$/gm)].map(([, name = '', file = '']) => [name, file]),
  )
}

/** The chart of an app as the README has it, with ours in the place where `helm dependency build` puts it. */
export function appChart(): string {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-chart-'))
  for (const [name, text] of filesOfReadme()) {
    mkdirSync(dirname(join(directory, name)), { recursive: true })
    writeFileSync(join(directory, name), text)
  }
  cpSync(CHART, join(directory, 'charts/sallyport'), { recursive: true })
  return directory
}

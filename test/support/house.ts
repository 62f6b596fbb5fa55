import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../../src/core/clock.ts'
import { type House, openHouse } from '../../src/main.ts'
import { loadSettings } from '../../src/settings/load.ts'
import { eventually } from './sallyport.ts'

/** A sidecar in this very process, so that a test can turn its clock and change what it knows. */
export interface HouseInside {
  readonly house: House
  /** The address of the first door of a kind. */
  door(kind: string): string
  /** The first entry that says all of this, once there is one. */
  entry(wanted: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>>
}

/** Opens one on these settings, quietly. */
export async function openHouseInside(directory: string, settings: object, clock?: Clock): Promise<HouseInside> {
  const file = join(directory, 'sallyport.yaml')
  const quiet = { log: { level: 'silent' }, audit: { sinks: [{ kind: 'json-lines', path: 'audit.jsonl' }] } }
  writeFileSync(file, JSON.stringify({ ...quiet, ...settings, drainTimeoutMs: 100 }))
  const house = await openHouse(await loadSettings(file), clock)
  const entries = (): Record<string, unknown>[] =>
    readFileSync(join(directory, 'audit.jsonl'), 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line))
  return {
    house,
    door: (kind) => house.listeners.find((listener) => listener.kind === kind)?.address ?? 'none',
    entry: (wanted) =>
      eventually(
        () => entries().find((entry) => Object.entries(wanted).every(([name, value]) => entry[name] === value)),
        `an entry with ${JSON.stringify(wanted)}`,
      ),
  }
}

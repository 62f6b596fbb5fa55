import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Holdings } from '../../src/core/holdings.ts'
import { hasTool } from '../support/debian.ts'
import { type Postgres, startPostgres } from '../support/postgres.ts'
import { open, type StorePlace, StorePlaces, until } from '../support/stores.ts'

const WRITER = join(import.meta.dirname, '../support/store-writer.ts')
const ROUNDS = 20
const places = new StorePlaces()

afterAll(() => places.close())

/** Lets a writer work for a moment, and kills it, with whatever else is to be killed. Gives all that it said. */
async function killedWriter(place: StorePlace, run: number, kill?: () => Promise<void>): Promise<string[]> {
  const url = place.secrets.get('URL') ?? ''
  const child = spawn(process.execPath, [WRITER, place.directory, JSON.stringify(place.settings), `r${run}`, url])
  onTestFinished(() => void child.kill('SIGKILL'))
  const closed = once(child, 'close')
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  await until(() => said.split('+!').length > 4 || child.exitCode !== null, 15_000)
  await wait(Math.random() * 60)
  await kill?.()
  child.kill('SIGKILL')
  await closed
  return said.split('\n').filter((line) => line !== '')
}

/** What was acknowledged last about each name; without what was still under way. */
function acknowledged(lines: readonly string[]): { there: Set<string>; gone: Set<string> } {
  const there = new Set<string>()
  const gone = new Set<string>()
  for (const line of lines) {
    const [what = '', name = ''] = line.split(' ')
    if (what === '+!') there.add(name)
    if (what === '-') there.delete(name)
    if (what === '-!') gone.add(name)
  }
  return { there, gone }
}

function expectKept({ callers, grants }: Holdings, lines: readonly string[]): void {
  const names = new Set(callers.map(({ name }) => name))
  const holders = new Set(grants.map(({ holder }) => holder.caller))
  const { there, gone } = acknowledged(lines)
  expect(there.size).toBeGreaterThan(0)
  expect([...there].filter((name) => !names.has(name) || !holders.has(name))).toEqual([])
  expect([...gone].filter((name) => names.has(name) || holders.has(name))).toEqual([])
  // A caller comes with its key, and goes with its grants, or not at all.
  expect(callers.filter(({ keys }) => keys.length !== 1)).toEqual([])
  expect([...holders].filter((name) => name === undefined || !names.has(name))).toEqual([])
}

test('kill -9 in the middle of writing loses no acknowledged change of a file', async () => {
  const place = await places.make('sqlite')
  const lines: string[] = []
  for (let run = 0; run < ROUNDS; run++) {
    lines.push(...(await killedWriter(place, run)))
    const store = await open(place)
    expectKept(store.holdings(), lines)
    await store.close()
  }
  expect(await places.run(place, 'pragma integrity_check')).toEqual([{ integrity_check: 'ok' }])
}, 240_000)

describe.skipIf(!hasTool('postgresql'))('with PostgreSQL', () => {
  let server: Postgres | undefined

  afterAll(() => server?.remove())

  test('kill -9 of a writer, and a crash of the server with it, lose no acknowledged change', async () => {
    server = await startPostgres({ isDurable: true })
    const place = await places.make('sqlite')
    const there: StorePlace = { ...place, settings: { kind: 'postgres', url: { env: 'URL' } } }
    there.secrets.set('URL', await server.createDatabase())
    const lines: string[] = []
    for (let run = 0; run < ROUNDS / 2; run++) {
      const withServer = async () => (run % 2 ? server?.stop('crash') : undefined)
      lines.push(...(await killedWriter(there, run, withServer)))
      if (run % 2) await server.start()
      const store = await open(there)
      expectKept(store.holdings(), lines)
      await store.close()
    }
  }, 240_000)
})

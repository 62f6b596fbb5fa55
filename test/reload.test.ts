import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Change } from '../src/audit/change.ts'
import { configure } from '../src/configured.ts'
import { Live } from '../src/live.ts'
import { Reloading } from '../src/reload.ts'
import { loadSettings } from '../src/settings/load.ts'
import { openReferences } from '../src/settings/open.ts'
import { Shared } from '../src/settings/shared.ts'
import { createLogger } from '../src/telemetry/logger.ts'
import { createMetrics } from '../src/telemetry/metrics.ts'
import { NOTHING_READ } from '../src/telemetry/readings.ts'
import { makeCallerTools } from './support/caller-tools.ts'
import { hasTool } from './support/debian.ts'
import { openHouseInside } from './support/house.ts'
import { startPartition } from './support/partition.ts'
import { privateDirectory, remove, writeSecret } from './support/sallyport.ts'
import { makeKey, StorePlaces } from './support/stores.ts'

const DOOR = { listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }] }
const places = new StorePlaces()

afterAll(() => places.close())

function directoryForTest(): string {
  const directory = privateDirectory()
  onTestFinished(() => remove(directory))
  return directory
}

async function reloadingOf(settings: object, change: (change: Change) => void) {
  const file = join(directoryForTest(), 'sallyport.yaml')
  writeFileSync(file, JSON.stringify(settings))
  const loaded = await loadSettings(file)
  const { clock, dialer, onFault } = makeCallerTools()
  const [log, metrics, shared] = [createLogger('silent'), createMetrics(NOTHING_READ), new Shared()]
  const ending = new AbortController().signal
  const tools = {
    proving: { clock, dialer, onFault },
    connecting: { clock, dialer, log, metrics, ending, isDisabled: () => false },
  }
  const first = configure(loaded, await openReferences(loaded, onFault, shared), tools)
  const told = { log, metrics, change, isAuditFull: () => false, judgeTrust: () => undefined, clock, store: undefined }
  const reloading = new Reloading({ first, tools, shared, live: new Live(first, { store: undefined, clock }), ...told })
  onTestFinished(() => reloading.close())
  return reloading
}

test.each([0, 1, 2, 3, 4, 5, 6])(
  'asked for again %i ticks before a reload is known to be over, it runs once more',
  async (ticks) => {
    let count = 0
    let asked: Promise<void> | undefined
    const again = async () => {
      for (let tick = 0; tick < ticks; tick++) await Promise.resolve()
      await reloading.reload('file')
    }
    const reloading = await reloadingOf(DOOR, () => {
      count += 1
      if (count === 1) asked = again()
    })
    await reloading.reload('signal')
    await asked
    expect(count).toBe(2)
  },
)

describe.skipIf(!hasTool('postgresql'))('with a store in PostgreSQL', () => {
  test('a reload that waits for a secret of a store that is cut off keeps nothing from closing', async () => {
    const place = await places.make('postgres')
    const way = await startPartition((await places.postgres()).port)
    onTestFinished(() => way.close())
    const url = new URL(place.secrets.get('URL') ?? '')
    url.port = String(way.port)
    const directory = directoryForTest()
    writeSecret(directory, 'url', url.href)
    writeSecret(directory, 'key', makeKey())
    const settings = { ...DOOR, store: { kind: 'postgres', url: { file: 'url' }, key: { file: 'key' } } }
    const { house } = await openHouseInside(directory, settings)
    const credential = { kind: 'static', secret: { store: 'later' } }
    const file = join(directory, 'sallyport.yaml')
    const connections = { crm: { hosts: ['api.crm.test'], credential } }
    const next = { ...JSON.parse(readFileSync(file, 'utf8')), allowlist: ['api.crm.test'], connections }
    writeFileSync(file, JSON.stringify(next))
    way.cut()
    const over = house.reload('signal')
    const began = performance.now()
    await house.close()
    expect(performance.now() - began).toBeLessThan(15_000)
    await over
  })
})

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
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
import { eventually, privateDirectory, remove, writeSecret } from './support/sallyport.ts'
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

test('a file that is still being written is not taken in by halves, though each half were right in itself', async () => {
  const whole = { ...DOOR, allowlist: ['a.test', 'b.test', 'c.test'] }
  const seen: unknown[] = []
  const reloading = await reloadingOf(whole, ({ after }) => seen.push(after))
  const { file, digest } = reloading.current.loaded
  const text = readFileSync(file, 'utf8')
  writeFileSync(file, JSON.stringify({ ...DOOR, allowlist: ['a.test'] }))
  // Nearer to the first look than the second one is.
  const writer = setTimeout(() => writeFileSync(file, text), 15)
  onTestFinished(() => clearTimeout(writer))
  await reloading.reload('signal')
  expect(seen).toMatchObject([{ digest }])
  expect(reloading.current.loaded.settings.allowlist).toEqual(whole.allowlist)
})

test('of settings that were taken in once, and are others now, nothing is left', { timeout: 30_000 }, async () => {
  const directory = directoryForTest()
  const files = [0, 1].map((name) => writeSecret(directory, `secret-${name}`, `a-secret-${name}`))
  const version = (round: number) => {
    const credential = { kind: 'static', secret: { file: files[round % 2] } }
    const callers = { [`caller-${round}`]: { kind: 'api-key', digest: `sha256:${'0'.repeat(64)}` } }
    return { ...DOOR, callers, connections: { crm: { hosts: ['api.crm.test'], credential } } }
  }
  const reloading = await reloadingOf(version(0), () => undefined)
  const { file } = reloading.current.loaded
  const seen: WeakRef<object>[] = []
  for (let round = 1; round <= 4; round++) {
    writeFileSync(file, JSON.stringify(version(round)))
    await reloading.reload('signal')
    const { loaded, connections } = reloading.current
    expect(Object.keys(loaded.settings.callers)).toEqual([`caller-${round}`])
    seen.push(...[loaded, connections, connections.get('crm') ?? expect.unreachable()].map((one) => new WeakRef(one)))
  }
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc')
  const left = () => {
    collect()
    return seen.filter((one) => one.deref() !== undefined).length
  }
  // Those of now; a weak reference that was looked at holds on until the turn is over.
  await eventually(() => left() <= 3 || undefined, 'what was before to be collected')
  expect(reloading.current.connections.size).toBe(1)
})

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

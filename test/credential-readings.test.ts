import { expect, test } from 'vitest'
import { readTokens } from '../src/credential-readings.ts'
import type { SupplyState } from '../src/credentials/credential.ts'
import type { Connection } from '../src/gate/snapshot.ts'

const CLOCK = { now: () => 1_000_000 }
const failure = { code: 'credential-unavailable', reason: 'it is down', at: 0 } as const

/** Of a connection no more is read than its name and its supply. */
function connection(name: string, states: readonly SupplyState[]): Connection {
  const supply = { state: () => states[0], ...(states.length > 1 && { states: () => states }) }
  return { name, supply } as unknown as Connection
}

const SHARED = connection('shared', [{ phase: 'fresh', mintedAt: 900_000, expiresAt: 1_200_000 }])
const EACH = connection('each', [
  { phase: 'fresh', mintedAt: 990_000, expiresAt: 1_900_000 },
  { phase: 'stale', mintedAt: 950_000, expiresAt: 1_050_000, lastError: failure, nextAttemptAt: 1_007_000 },
  // One that is being tried anew is no better yet.
  { phase: 'refreshing', mintedAt: 960_000, expiresAt: 1_060_000, lastError: failure },
  { phase: 'failed', lastError: failure, nextAttemptAt: 1_002_000 },
])
const HELD = connection('held', [{ phase: 'held' }])

test('where each caller has its own, the worst of them counts', async () => {
  const read = readTokens(() => [SHARED, EACH, HELD], CLOCK)
  const of = async (name: keyof typeof read) =>
    Array.from(await read[name](), ([labels, value]) => [...Object.values(labels), value].join(' '))
  expect(await of('sallyport_credentials')).toEqual([
    'shared fresh 1',
    'each fresh 1',
    'each stale 1',
    'each refreshing 1',
    'each failed 1',
    'held held 1',
  ])
  expect(await of('sallyport_credential_minted_timestamp_seconds')).toEqual(['shared 900', 'each 950'])
  expect(await of('sallyport_credential_expiry_timestamp_seconds')).toEqual(['shared 1200', 'each 1050'])
  expect(await of('sallyport_credential_stale_expiry_timestamp_seconds')).toEqual(['each 1050'])
  expect(await of('sallyport_mint_pause_seconds')).toEqual(['shared 0', 'each 7'])
})

import { expect, test } from 'vitest'
import { type CallerSettings, callerSettings, faultsOfCallers } from '../../src/callers/registry.ts'
import type { Evidence } from '../../src/core/ask.ts'
import { Secret, sha256 } from '../../src/core/secret.ts'
import { makeCallerTools } from '../support/caller-tools.ts'
import { identifying } from '../support/identifying.ts'

const KEY = 'the key of a test'
const tools = makeCallerTools({ secret: KEY })

function settingsOf(callers: Readonly<Record<string, object>>): Record<string, CallerSettings> {
  return Object.fromEntries(Object.entries(callers).map(([name, one]) => [name, callerSettings.parse(one)]))
}

function identifyWith(callers: Readonly<Record<string, object>>) {
  return identifying(settingsOf(callers), tools)
}

function shows(key: string, caller?: string): Evidence {
  return { keys: [{ key: new Secret(key), caller }], keysAre: 'certain' }
}

const byReference = { kind: 'api-key', key: { file: 'key' } }
const byDigest = { kind: 'api-key', digest: `sha256:${sha256('another key').toString('hex')}` }

test('a key proves its own caller, by reference and by digest', async () => {
  const identify = identifyWith({ one: byReference, two: byDigest })
  expect((await identify(shows(KEY)))?.name).toBe('one')
  expect((await identify(shows('another key')))?.name).toBe('two')
})

test('a name beside the key has to be the name of the key’s caller', async () => {
  const identify = identifyWith({ one: byReference, two: byDigest })
  expect((await identify(shows(KEY, 'one')))?.name).toBe('one')
  expect(await identify(shows(KEY, 'two'))).toBeUndefined()
  expect(await identify(shows(KEY, 'nobody'))).toBeUndefined()
  expect(await identify(shows(KEY, '__proto__'))).toBeUndefined()
})

test('two keys at once prove nobody, also when one of them is right', async () => {
  const identify = identifyWith({ one: byReference, two: byDigest })
  const both = { keys: [{ key: new Secret(KEY) }, { key: new Secret('another key') }], keysAre: 'maybe' as const }
  expect(await identify(both)).toBeUndefined()
})

test('a key that has changed in its file is the only one from then on', async () => {
  const changing = makeCallerTools({ secret: 'old' })
  const identify = identifying(settingsOf({ one: byReference }), changing)
  expect((await identify(shows('old')))?.name).toBe('one')
  changing.references.change('new')
  expect(await identify(shows('old'))).toBeUndefined()
  expect((await identify(shows('new')))?.name).toBe('one')
})

test('at a reverse door a placeholder for the upstream’s key is passed over for a place that proves', async () => {
  const identify = identifyWith({ one: byReference, here: { kind: 'socket' }, peer: { kind: 'unix-peer', uid: 5 } })
  const placeholder = { keys: [{ key: new Secret('sk-placeholder') }], keysAre: 'maybe' as const }
  expect((await identify({ ...placeholder, doorCaller: 'here' }))?.name).toBe('here')
  expect((await identify({ ...placeholder, peer: { pid: 1, uid: 5, gid: 5 } }))?.name).toBe('peer')
  expect(await identify(placeholder)).toBeUndefined()
})

test('a key that was shown beats the door it came through', async () => {
  const identify = identifyWith({ one: byReference, here: { kind: 'socket' } })
  expect((await identify({ ...shows(KEY), doorCaller: 'here' }))?.name).toBe('one')
})

test('uid and gid together beat uid alone, which beats gid alone', async () => {
  const identify = identifyWith({
    both: { kind: 'unix-peer', uid: 5, gid: 6 },
    uid: { kind: 'unix-peer', uid: 5 },
    gid: { kind: 'unix-peer', gid: 6 },
  })
  const ask = async (uid: number, gid: number) =>
    (await identify({ peer: { pid: 1, uid, gid }, keys: [], keysAre: 'certain' }))?.name
  expect(await Promise.all([ask(5, 6), ask(5, 7), ask(9, 6), ask(9, 9)])).toEqual(['both', 'uid', 'gid', undefined])
})

test('H09: the overflow id proves nobody, and cannot be set', async () => {
  for (const id of ['uid', 'gid'])
    expect(callerSettings.safeParse({ kind: 'unix-peer', [id]: 65534 }).success).toBe(false)
  expect(callerSettings.safeParse({ kind: 'unix-peer' }).success).toBe(false)
})

test('two callers of one uid are a mistake in the settings', async () => {
  const faults = faultsOfCallers(settingsOf({ one: { kind: 'unix-peer', uid: 5 }, two: { kind: 'unix-peer', uid: 5 } }))
  expect(faults).toEqual([{ caller: 'two', message: expect.stringContaining('one has the same') }])
})

test('two callers of one key: the digest is a mistake in the settings, and at run time the key alone proves nobody', async () => {
  const faults = faultsOfCallers(settingsOf({ one: byDigest, two: byDigest }))
  expect(faults).toEqual([{ caller: 'two', message: expect.stringContaining('one has the same digest') }])
  const identify = identifyWith({ one: byReference, two: byReference })
  expect(await identify(shows(KEY))).toBeUndefined()
  expect((await identify(shows(KEY, 'two')))?.name).toBe('two')
})

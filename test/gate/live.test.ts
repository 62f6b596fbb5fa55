import { expect, onTestFinished, test } from 'vitest'
import { buildCallers } from '../../src/callers/registry.ts'
import type { Configured } from '../../src/configured.ts'
import { decide } from '../../src/core/decide.ts'
import { type Holdings, NO_HOLDINGS, type StoredCaller, type StoredGrant, UNREADABLE } from '../../src/core/holdings.ts'
import { Secret, sha256 } from '../../src/core/secret.ts'
import { Live } from '../../src/live.ts'
import { loadSettings } from '../../src/settings/load.ts'
import type { Store } from '../../src/store/store.ts'
import { makeCallerTools } from '../support/caller-tools.ts'
import { eventually } from '../support/sallyport.ts'
import { DOOR, settingsFile } from '../support/settings-file.ts'

const SETTINGS = `${DOOR}allowlist: [ api.test ]
connections: { crm: { hosts: [ api.test ], credential: { kind: none } } }
`
const GRANT: StoredGrant = {
  id: 'g1',
  holder: { caller: 'added' },
  connection: 'crm',
  rules: [],
  until: undefined,
  createdAt: 0,
  createdBy: 'op',
}

function callerWith(expiresAt: number | undefined): StoredCaller {
  const key = { id: 'k', digest: sha256('its key').toString('hex'), createdAt: 0, expiresAt }
  return { name: 'added', createdAt: 0, createdBy: 'op', keys: [key] }
}

/** A store that says what it is told to say, and what is made of it. */
async function stage(first: Partial<Holdings> = {}) {
  const loaded = await loadSettings(await settingsFile(SETTINGS))
  const tools = makeCallerTools()
  let holdings: Holdings = { ...NO_HOLDINGS, ...first }
  let listener: (latest: Holdings) => void = () => undefined
  const store = {
    holdings: () => holdings,
    confirmedAt: () => tools.clock.monotonic(),
    onChange(told: typeof listener) {
      listener = told
      return () => undefined
    },
  } as unknown as Store // no more of it is asked here
  const identifyWith = buildCallers(loaded.settings.callers, tools)
  const rest = {} as Pick<Configured, 'connections' | 'unlisted' | 'references'>
  const live = new Live({ loaded, identifyWith, ...rest }, { store, clock: tools.clock })
  onTestFinished(() => live.close())
  const say = (latest: Partial<Holdings>) => {
    holdings = { ...holdings, ...latest, revision: holdings.revision + 1 }
    listener(holdings)
  }
  const caller = { name: 'added', method: 'api-key' }
  const target = { kind: 'name', host: 'api.test', port: undefined } as const
  const ask = () => {
    const decision = decide({ caller, target, method: 'GET', path: '/', at: 0 }, live.snapshot().policy)
    return decision.permitted ? 'permit' : decision.code
  }
  return { live, clock: tools.clock, say, ask }
}

test('a change that cannot be understood is not passed over: nothing goes out until one can be', async () => {
  const { live, say, ask } = await stage({ grants: [GRANT] })
  let changes = 0
  live.onChange(() => changes++)
  expect(ask()).toBe('permit')
  // Of a newer Sallyport, or of whoever wrote into the database.
  const odd = { ...GRANT, id: 'g2', rules: [{ paths: 7 }] } as unknown as StoredGrant
  expect(() => say({ grants: [odd] })).toThrow(TypeError)
  expect([ask(), changes]).toEqual(['store-lost', 1])
  say({ grants: [] })
  expect([ask(), changes]).toEqual(['grant-missing', 2])
})

test('rules that nobody can read let nothing go out, and say which grant has them', async () => {
  const { say, ask } = await stage({ grants: [GRANT] })
  expect(() => say({ grants: [{ ...GRANT, id: 'g3', rules: UNREADABLE }] })).toThrow(/grant g3 .*: revoke it by its id/)
  expect(ask()).toBe('store-lost')
})

test('when a key ends, what is under way is judged anew, and what the key began is nobody’s any more', async () => {
  const { live, clock, say } = await stage()
  say({ callers: [callerWith(clock.now() + 1_000)] })
  const evidence = { keys: [{ key: new Secret('its key') }], keysAre: 'certain' } as const
  const recognized = () => live.snapshot().recognize({ name: 'added', method: 'api-key' }, evidence)?.name
  expect(recognized()).toBe('added')
  let changes = 0
  live.onChange(() => changes++)
  clock.advance(1_000)
  await eventually(() => changes === 1 || undefined, 'the end of the key', 1_000)
  expect(recognized()).toBeUndefined()
  clock.jumpWall(-3_600_000)
  expect(recognized()).toBeUndefined()
})

import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import type { AuditLine } from '../../src/core/audit-line.ts'
import { historyOf } from '../../src/history.ts'
import type { Recorded } from '../../src/review/recorded.ts'
import { loadSettings } from '../../src/settings/load.ts'
import { DOOR, settingsFile } from '../support/settings-file.ts'
import { open, StorePlaces } from '../support/stores.ts'
import { entry } from './entries.ts'

const SETTINGS = `${DOOR}allowlist: [ api.crm.test ]
callers: { job: { kind: jwt, issuer: "https://issuer.test", audience: a, name: "ci/{sub}" } }
connections:
  crm: { hosts: [ api.crm.test ], credential: { kind: none } }
`
const places = new StorePlaces()

function line(recorded: Recorded, seq: number): AuditLine {
  const { caller, connection, host, time } = recorded
  const keys = { kind: 'ask', time: Date.parse(time), caller, connection, host } as const
  const row = { msg: 'ask', ...recorded, instance: 'i', run: 'r', seq, prev: '', hash: '' }
  return { instance: 'i', run: 'r', seq, hash: '', keys, line: JSON.stringify(row) }
}

test('a candidate replaces the settings, and not what operators have granted and switched off', async () => {
  const place = await places.make('sqlite')
  const store = await open(place)
  const terms = { connection: 'crm', rules: [], until: undefined, createdBy: 'op' }
  await store.addGrant({ holder: { caller: 'ci/build' }, ...terms })
  await store.audit.insert([line(entry({ caller: 'ci/build', proof: 'jwt', credential: undefined }), 1)])
  const file = await settingsFile(SETTINGS)
  const loaded = await loadSettings(file)
  const history = historyOf(() => loaded, store)
  const candidate = await readFile(file, 'utf8')
  expect(await history?.replay(candidate, 0)).toMatchObject({ replayed: 1, newlyDenied: [], newlyAllowed: [] })
  await store.disable('crm', 'op', undefined)
  expect(await history?.replay(candidate, 0)).toMatchObject({
    newlyDenied: [{ caller: 'ci/build', code: 'connection-disabled' }],
  })
})

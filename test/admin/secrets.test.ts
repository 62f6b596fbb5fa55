import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { declaredIn } from '../../src/settings/declared.ts'
import { settingsSchema } from '../../src/settings/schema.ts'
import { openStore } from '../../src/store/open.ts'
import { storeSettings } from '../../src/store/registry.ts'
import { makeCallerTools } from '../support/caller-tools.ts'
import { privateDirectory, remove } from '../support/sallyport.ts'
import { openTestDoor } from './door.ts'

async function sealingStore() {
  const directory = privateDirectory()
  const tools = makeCallerTools({ secret: randomBytes(32).toString('base64') })
  const settings = { kind: 'sqlite', path: join(directory, 'sealed.db'), key: { env: 'ANY' } }
  const store = await openStore(storeSettings.parse(settings), { ...tools, directory })
  onTestFinished(async () => {
    await store.close()
    remove(directory)
  })
  return store
}

test('a secret comes in, version by version, and never out', async () => {
  const store = await sealingStore()
  const door = await openTestDoor({ over: { store } })
  const values = [randomBytes(16).toString('hex'), `${randomBytes(16).toString('hex')}\n"é`]
  const answers = []
  for (const value of values) answers.push(await door.ask('PUT', '/v1/secrets/crm', { body: { value } }))
  expect(answers.map(({ json }) => [json['name'], json['version']])).toEqual([
    ['crm', 1],
    ['crm', 2],
  ])
  const list = await door.ask('GET', '/v1/secrets', { as: 'viewer' })
  expect(list.json['items']).toMatchObject([
    { name: 'crm', version: 1, createdBy: 'admin-1' },
    { name: 'crm', version: 2, createdBy: 'admin-1' },
  ])
  expect((await store.secrets.open('crm')).secret.reveal()).toBe(values[1])
  const told = JSON.stringify([answers, list, door.changes])
  for (const value of values) expect(told).not.toContain(value.slice(0, 16))
  expect(door.changes).toMatchObject([
    { action: 'secret.set', subject: 'crm', before: undefined, after: { version: 1 } },
    { action: 'secret.set', subject: 'crm', before: { version: 1 }, after: { version: 2 } },
  ])
})

test('a secret is removed where the settings do not name it, and recorded', async () => {
  const store = await sealingStore()
  const declared = { ...(await openTestDoor()).ports.declared() }
  const storedSecrets = new Map([['crm', ['connections.crm.credential.secret']]])
  const door = await openTestDoor({ over: { store, declared: () => ({ ...declared, storedSecrets }) } })
  for (const name of ['crm', 'old']) await door.ask('PUT', `/v1/secrets/${name}`, { body: { value: 'x' } })
  expect((await door.ask('DELETE', '/v1/secrets/old')).status).toBe(204)
  const again = await door.ask('DELETE', '/v1/secrets/old')
  expect([again.status, again.json['code']]).toEqual([404, 'not-found'])
  const named = await door.ask('DELETE', '/v1/secrets/crm')
  expect([named.status, named.json['code']]).toEqual([409, 'secret-in-use'])
  expect(named.json['detail']).toContain('connections.crm.credential.secret')
  expect((await door.ask('GET', '/v1/secrets')).json['items']).toMatchObject([{ name: 'crm' }])
  expect(door.changes.slice(2)).toMatchObject([
    { action: 'secret.remove', subject: 'old', before: { name: 'old', version: 1 }, after: undefined, code: undefined },
    { action: 'secret.remove', subject: 'old', code: 'not-found' },
    { action: 'secret.remove', subject: 'crm', code: 'secret-in-use' },
  ])
})

test('where the settings name secrets of the store is known', () => {
  const proof = { kind: 'api-key', key: { store: 'app' } }
  const settings = settingsSchema.parse({
    listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }],
    store: { kind: 'sqlite', path: 'store.db', key: { file: 'key' } },
    callers: { one: proof, two: proof },
    connections: { crm: { hosts: ['api.crm.test'], credential: { kind: 'static', secret: { store: 'crm' } } } },
  })
  expect(declaredIn(settings).storedSecrets).toEqual(
    new Map([
      ['app', ['callers.one.key', 'callers.two.key']],
      ['crm', ['connections.crm.credential.secret']],
    ]),
  )
})

test('without a key to seal with, the remedy is told', async () => {
  const door = await openTestDoor()
  const { status, json } = await door.ask('PUT', '/v1/secrets/crm', { body: { value: 'x' } })
  expect([status, json['code']]).toEqual([409, 'sealing-key-missing'])
  expect(door.changes).toMatchObject([{ action: 'secret.set', subject: 'crm', code: 'sealing-key-missing' }])
})

test.each([
  ['a value in a wrong place', { secret: 'hunter-in-a-wrong-place' }],
  ['a value of a wrong type', { value: ['hunter-in-a-wrong-place'] }],
  ['a value beside the value', { value: 'x', also: 'hunter-in-a-wrong-place' }],
  ['JSON that is none', '{"value": "hunter-in-a-wrong-place"'],
  ['JSON that is none at the value', '{"value": hunter-in-a-wrong-place}'],
  ['NUL', { value: 'hunter-in-a-wrong-place\0' }],
  ['half a character', { value: 'hunter-in-a-wrong-place\ud800' }],
  ['too much', { value: `hunter-in-a-wrong-place${'x'.repeat(65_536)}` }],
])('%s is refused, and repeated nowhere', async (_what, body) => {
  const door = await openTestDoor({ over: { store: await sealingStore() } })
  const { status, text } = await door.ask('PUT', '/v1/secrets/crm', { body })
  expect([400, 422]).toContain(status)
  expect(text + JSON.stringify(door.changes)).not.toContain('hunter')
})

import { expect, test } from 'vitest'
import { openTestDoor } from './door.ts'

test('why says where scopes would cap what was asked without any', async () => {
  const origin = await openTestDoor()
  const declared = { ...origin.ports.declared(), ceilingOf: () => ({ scopes: [], parts: [] }) }
  const door = await openTestDoor({ over: { declared: () => declared } })
  const question = { caller: 'checkout', method: 'GET', url: 'http://api.crm.test/v1/a' }
  const without = await door.ask('POST', '/v1/why', { body: question })
  expect(without.json).toMatchObject({ decision: 'permit', lacksScopes: true })
  const { json } = await door.ask('POST', '/v1/why', { body: { ...question, scopes: [] } })
  expect(json['code']).toBe('scope-insufficient')
  expect(json).not.toHaveProperty('lacksScopes')
})

import { expect, test } from 'vitest'
import type { StoredLogin } from '../../src/core/holdings.ts'
import type { LoginDesk, Revocation } from '../../src/credentials/login/desk.ts'
import { openTestDoor } from './door.ts'

const LOGIN: StoredLogin = {
  id: 'l-1',
  connection: 'crm',
  identity: 'shared',
  isAlive: true,
  expiresAt: undefined,
  createdAt: 0,
  createdBy: 'ann',
}

/** Where one login was, and what its authorization server says of it, soon and at last. */
function deskWith(first: Promise<Revocation>, last: Promise<Revocation>): LoginDesk {
  return {
    identity: 'shared',
    isByCaller: false,
    placeOf: () => LOGIN,
    begin: () => expect.unreachable(),
    isOpen: () => false,
    finish: () => expect.unreachable(),
    logout: async () => ({ login: LOGIN, revoking: { first, last } }),
    revoke: () => expect.unreachable(),
    stateFor: () => 'ok',
    list: () => [],
  }
}

const over = (first: Promise<Revocation>, last = first) => ({ desks: () => new Map([['crm', deskWith(first, last)]]) })

test('a logout is recorded before what the authorization server has said, even if that was known at once', async () => {
  const failed = Promise.resolve({ outcome: 'failed', tries: 0, reason: 'it is of another issuer' } as const)
  const door = await openTestDoor({ over: over(failed) })
  const answer = await door.ask('POST', '/v1/connections/crm/logout', { body: {} })
  expect([answer.status, answer.json]).toEqual([
    200,
    { revocation: { outcome: 'failed', tries: 0, reason: 'it is of another issuer' } },
  ])
  expect(door.changes).toMatchObject([
    { action: 'login.remove', subject: 'crm', before: { id: 'l-1' }, code: undefined },
    { action: 'login.revoke', subject: 'crm', after: { login: 'l-1', outcome: 'failed' }, code: 'revocation-failed' },
  ])
  expect(door.changes[0]?.id).not.toBe(door.changes[1]?.id)
})

test('what is still under way is answered as such, and recorded once, at its end, by the operator who began it', async () => {
  const last = Promise.withResolvers<Revocation>()
  const pending = Promise.resolve({ outcome: 'pending', tries: 1, reason: 'it is busy' } as const)
  const door = await openTestDoor({ over: over(pending, last.promise) })
  const { json } = await door.ask('POST', '/v1/connections/crm/logout', { body: {} })
  expect(json['revocation']).toMatchObject({ outcome: 'pending' })
  expect(door.changes.map(({ action }) => action)).toEqual(['login.remove'])
  last.resolve({ outcome: 'revoked', tries: 3 })
  await last.promise
  await Promise.resolve()
  expect(door.changes.slice(1)).toMatchObject([
    { action: 'login.revoke', operator: 'admin-1', proof: 'api-key', after: { outcome: 'revoked', tries: 3 } },
  ])
})

test('where nothing was left to be revoked nothing is recorded of it', async () => {
  const door = await openTestDoor({ over: over(Promise.resolve({ outcome: 'nothing', tries: 0 })) })
  await door.ask('POST', '/v1/connections/crm/logout', { body: {} })
  expect(door.changes.map(({ action }) => action)).toEqual(['login.remove'])
})

test.each(['viewer', 'granter'] as const)('nobody logs anybody out as %s', async (role) => {
  const door = await openTestDoor({ over: over(Promise.resolve({ outcome: 'nothing', tries: 0 })) })
  expect((await door.ask('POST', '/v1/connections/crm/logout', { as: role, body: {} })).status).toBe(403)
})

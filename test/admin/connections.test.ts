import { expect, test } from 'vitest'
import { openTestDoor } from './door.ts'

test('connections are shown with what is known of them', async () => {
  const at = Date.UTC(2026, 0, 1)
  const failing = {
    phase: 'failed' as const,
    nextAttemptAt: at + 1000,
    lastError: { code: 'credential-unavailable' as const, reason: 'the issuer does not answer', at },
  }
  const door = await openTestDoor({ over: { supplies: () => new Map([['crm', failing]]) } })
  await door.ask('POST', '/v1/grants', { body: { group: 'west', connection: 'crm' } })
  await door.ask('POST', '/v1/grants', { body: { caller: 'checkout', connection: 'crm' } })
  const { json } = await door.ask('GET', '/v1/connections', { as: 'viewer' })
  expect(json['items']).toEqual([
    {
      name: 'crm',
      hosts: ['api.crm.test'],
      port: 443,
      source: 'static',
      injection: 'bearer',
      connect: 'unsaid',
      disabled: false,
      phase: 'failed',
      nextAttemptAt: '2026-01-01T00:00:01.000Z',
      lastError: {
        code: 'credential-unavailable',
        reason: 'the issuer does not answer',
        at: '2026-01-01T00:00:00.000Z',
      },
      holders: 2,
    },
    {
      name: 'old',
      hosts: ['old.test'],
      port: 443,
      source: 'none',
      connect: 'unsaid',
      disabled: true,
      disabledBy: { source: 'declared' },
      phase: 'none',
      holders: 0,
    },
  ])
  expect((await door.ask('GET', '/v1/connections/crm')).json).toEqual(json['items']?.[0])
})

test('a connection is switched off, with a reason, and on again', async () => {
  const door = await openTestDoor()
  const off = await door.ask('POST', '/v1/connections/crm/disable', { body: { reason: 'the vendor was broken into' } })
  const disabledBy = { source: 'stored', by: 'admin-1', at: expect.any(String), reason: 'the vendor was broken into' }
  expect(off.json).toMatchObject({ disabled: true, disabledBy })
  expect(door.ports.policy().disabled.has('crm')).toBe(true)
  const on = await door.ask('POST', '/v1/connections/crm/enable')
  expect(on.json).toMatchObject({ disabled: false })
  expect(on.json).not.toHaveProperty('disabledBy')
  expect(door.changes).toMatchObject([
    {
      action: 'connection.disable',
      subject: 'crm',
      before: { disabled: false },
      after: { disabled: true, disabledBy },
    },
    { action: 'connection.enable', subject: 'crm', before: { disabled: true, disabledBy }, after: { disabled: false } },
  ])
})

test('what the settings switch off cannot be switched on here', async () => {
  const door = await openTestDoor()
  const { status, json } = await door.ask('POST', '/v1/connections/old/enable')
  expect([status, json['code']]).toEqual([409, 'switch-declared'])
})

test.each(['GET /v1/connections/none', 'POST /v1/connections/none/disable', 'POST /v1/connections/toString/enable'])(
  '%s is not found, and the names that are there are told',
  async (line) => {
    const door = await openTestDoor()
    const [method = '', path = ''] = line.split(' ')
    const { status, json } = await door.ask(method, path)
    expect([status, json['code'], json['detail']]).toEqual([404, 'not-found', 'use the name of a connection: crm, old'])
  },
)

test.each(['', 'a\nb', 'x'.repeat(501)])('a reason like %j is refused', async (reason) => {
  const door = await openTestDoor()
  const { json } = await door.ask('POST', '/v1/connections/crm/disable', { body: { reason } })
  expect(json['errors']).toMatchObject([{ pointer: '#/reason' }])
})

test('without a store nothing can be changed, and the remedy is told; what is declared is shown', async () => {
  const door = await openTestDoor({ over: { store: undefined } })
  for (const [method, path, body] of [
    ['POST', '/v1/connections/crm/disable', {}],
    ['POST', '/v1/connections/crm/enable', undefined],
    ['POST', '/v1/callers', { name: 'billing' }],
    ['DELETE', '/v1/callers/billing', undefined],
    ['POST', '/v1/grants', { caller: 'checkout', connection: 'crm' }],
    ['DELETE', '/v1/grants/x', undefined],
    ['PUT', '/v1/secrets/crm', { value: 'x' }],
    ['GET', '/v1/secrets', undefined],
    ['GET', '/v1/audit', undefined],
    ['GET', '/v1/audit/export', undefined],
    ['GET', '/v1/inventory', undefined],
  ] as const) {
    const { status, json } = await door.ask(method, path, { body })
    expect([path, status, json['code']]).toEqual([path, 409, 'store-missing'])
    expect(json['detail']).toContain('store: { kind: sqlite, path: FILE }')
  }
  expect((await door.ask('GET', '/v1/grants')).json['items']).toHaveLength(2)
})

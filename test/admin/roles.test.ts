import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ROLES, type Role } from '../../src/admin/role.ts'
import { routes } from '../../src/admin/routes.ts'
import { askDoor, openTestDoor, type TestDoor } from './door.ts'

/** What each route is for, written down once more by hand: the table itself cannot say that a row of it is wrong. */
const NEEDED: Readonly<Record<string, Role>> = {
  'GET /v1/connections': 'viewer',
  'GET /v1/connections/{name}': 'viewer',
  'POST /v1/connections/{name}/disable': 'admin',
  'POST /v1/connections/{name}/enable': 'admin',
  'GET /v1/connections/{name}/logins': 'viewer',
  'POST /v1/connections/{name}/login': 'admin',
  'POST /v1/connections/{name}/login/finish': 'admin',
  'POST /v1/connections/{name}/logout': 'admin',
  'GET /v1/callers': 'viewer',
  'POST /v1/callers': 'granter',
  'DELETE /v1/callers/{name}': 'granter',
  'POST /v1/callers/{name}/rotate-key': 'granter',
  'GET /v1/grants': 'viewer',
  'POST /v1/grants': 'granter',
  'DELETE /v1/grants/{id}': 'granter',
  'POST /v1/grants/revoke': 'granter',
  'GET /v1/secrets': 'viewer',
  'PUT /v1/secrets/{name}': 'admin',
  'DELETE /v1/secrets/{name}': 'admin',
  'POST /v1/why': 'viewer',
  'GET /v1/audit': 'viewer',
  'GET /v1/audit/blast-radius': 'viewer',
  'GET /v1/audit/export': 'viewer',
  'GET /v1/audit/misfiled': 'viewer',
  'GET /v1/audit/tail': 'viewer',
  'GET /v1/inventory': 'viewer',
  'POST /v1/policy/replay': 'viewer',
  'GET /v1/policy/suggest': 'viewer',
}

let door: TestDoor
beforeAll(async () => {
  door = await openTestDoor({ isShared: true })
})
afterAll(() => door.close())

test('every route is in the list of this test', () => {
  expect(routes.map(({ method, path }) => `${method} ${path}`).toSorted()).toEqual(Object.keys(NEEDED).toSorted())
})

const ROWS = Object.entries(NEEDED).flatMap(([line, needed]) => ROLES.map((role) => [line, role, needed] as const))

/** A request that gets past the roles, and then is refused for what it says: nothing is changed by this table. */
function unfit(line: string): { method: string; path: string; body?: unknown } {
  const [method = '', path = ''] = line.split(' ')
  return {
    method,
    path: `${path.replaceAll(/\{\w+\}/g, 'x')}?unfit=1`,
    ...(method !== 'GET' && { body: { unfit: 1 } }),
  }
}

test.each(ROWS)('%s as %s, where %s is needed', async (line, role, needed) => {
  const { method, path, body } = unfit(line)
  const { status, json } = await door.ask(method, path, { as: role, body })
  const reaches = ROLES.indexOf(role) >= ROLES.indexOf(needed)
  expect([status, json['code']]).toEqual(reaches ? [422, 'input-invalid'] : [403, 'role-insufficient'])
})

describe.each(Object.keys(NEEDED))('%s', (line) => {
  const { method, path, body } = unfit(line)
  test.each([
    ['nothing', undefined],
    ['a wrong key', `Bearer ${randomBytes(32).toString('base64url')}`],
    ['a part of a key', () => `Bearer ${door.keys.admin.slice(0, -1)}`],
    ['a key in another scheme', () => `Basic ${Buffer.from(`admin-1:${door.keys.admin}`).toString('base64')}`],
    ['two keys in one', () => `Bearer ${door.keys.admin}, Bearer ${door.keys.admin}`],
    ['an empty key', 'Bearer '],
  ])('is closed to whoever shows %s', async (_what, proof) => {
    const value = typeof proof === 'function' ? proof() : proof
    const headers = value === undefined ? {} : { Authorization: value }
    const answer = await askDoor(door.address, { method, path, key: undefined, body, headers })
    // All of these guesses come from one peer: after some of them it is told to wait.
    expect([401, 429]).toContain(answer.status)
    expect(['operator-unknown', 'operator-throttled']).toContain(answer.json['code'])
    if (answer.status === 401) expect(answer.headers['www-authenticate']).toBe('Bearer realm="sallyport admin"')
    else expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
  })
})

test('a flood of guesses neither fills the audit nor locks an operator out', async () => {
  const before = door.changes.length
  const key = randomBytes(32).toString('base64url')
  const guess = () => askDoor(door.address, { method: 'POST', path: '/v1/grants', key, body: {} })
  const answers = await Promise.all(Array.from({ length: 100 }, guess))
  expect(answers.every(({ status }) => status === 429)).toBe(true)
  expect(door.changes.length).toBe(before)
  expect((await door.ask('GET', '/v1/grants', { as: 'viewer' })).status).toBe(200)
})

test('a change that a role does not reach is told to the audit, with who', async () => {
  await door.ask('PUT', '/v1/secrets/crm', { as: 'granter', body: { value: 'x' } })
  expect(door.changes.at(-1)).toMatchObject({
    action: 'secret.set',
    subject: 'crm',
    operator: 'granter-1',
    proof: 'api-key',
    code: 'role-insufficient',
  })
})

test('an unknown operator that would change something is told to the audit', async () => {
  const fresh = await openTestDoor()
  expect((await fresh.ask('DELETE', '/v1/grants/abc', { as: undefined })).status).toBe(401)
  expect(fresh.changes).toMatchObject([
    { operator: 'unknown', proof: 'none', subject: 'abc', code: 'operator-unknown' },
  ])
})

test('an operator whose issuer cannot be asked is told so, and let in nowhere', async () => {
  const operators = { isEmpty: false, recognize: () => Promise.resolve('unverifiable' as const) }
  const fresh = await openTestDoor({ over: { operators } })
  const { status, json, headers } = await fresh.ask('DELETE', '/v1/grants/abc')
  expect([status, json['code'], headers['retry-after']]).toEqual([503, 'operator-unverifiable', '5'])
  expect(fresh.changes).toMatchObject([{ operator: 'unknown', code: 'operator-unverifiable' }])
})

test('where the settings name no operator the answer says what to set', async () => {
  const operators = { isEmpty: true, recognize: () => Promise.resolve(undefined) }
  const fresh = await openTestDoor({ over: { operators } })
  const { status, json } = await fresh.ask('GET', '/v1/connections')
  expect([status, json['code']]).toEqual([401, 'operators-missing'])
  expect(json['detail']).toContain('admin.operators')
})

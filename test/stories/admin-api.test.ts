import { randomBytes } from 'node:crypto'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { type Answer, askDoor } from '../admin/door.ts'
import { sendRaw, WHOLE_ANSWER } from '../support/raw-client.ts'
import {
  eventually,
  type Running,
  remove,
  runCli,
  startSallyport,
  wholeLinesOf,
  writeSecret,
} from '../support/sallyport.ts'
import { type RawUpstream, startUpstream } from '../support/upstream.ts'
import { authority, crmDirectory, crmSettings, doorOf, PROOF, stopCrm } from './crm.ts'

/** The life of callers, grants and switches, on a running sidecar with a store in a file. */
let upstream: RawUpstream
let sallyport: Running
const keys = { viewer: randomBytes(32).toString('hex'), admin: randomBytes(32).toString('hex') }

const API = {
  admin: {
    listen: '127.0.0.1:0',
    operators: {
      ann: { role: 'admin', proof: { kind: 'api-key', key: { file: 'admin-key' } } },
      vera: { role: 'viewer', proof: { kind: 'api-key', key: { file: 'viewer-key' } } },
    },
  },
  store: { kind: 'sqlite', path: 'store.db' },
  audit: { sinks: [{ kind: 'json-lines', path: 'audit.jsonl' }, { kind: 'store' }] },
  grants: [],
}

function start(directory: string, settings: object = {}): Promise<Running> {
  writeSecret(directory, 'admin-key', keys.admin)
  writeSecret(directory, 'viewer-key', keys.viewer)
  return startSallyport(directory, crmSettings({ port: upstream.port, settings: { ...API, ...settings } }))
}

beforeAll(async () => {
  upstream = await startUpstream(undefined, await authority.issue(['api.crm.test']))
  sallyport = await start(crmDirectory())
})

afterAll(async () => {
  await stopCrm(sallyport)
  await upstream?.close()
})

interface Wish {
  readonly as?: keyof typeof keys
  readonly on?: Running
}

function ask(
  method: string,
  path: string,
  body?: unknown,
  { as = 'admin', on = sallyport }: Wish = {},
): Promise<Answer> {
  return askDoor(on.admin ?? '', { method, path, key: keys[as], body })
}

/** What a caller is answered at the forward door: 200, or the code of the refusal. */
async function outcome(proof = PROOF, { method = 'GET', on = sallyport } = {}): Promise<string> {
  const head = `${method} http://api.crm.test/v1/contacts HTTP/1.1\r\nHost: api.crm.test\r\n${proof}\r\n`
  const { status, text } = await sendRaw(doorOf(on, 'forward'), head, { until: WHOLE_ANSWER })
  return status === 200 ? '200' : (/"code":"([^"]+)"/.exec(text)?.[1] ?? text)
}

/** What the lines of the audit say of changes, once there are as many. */
function changesOf({ directory }: Running, count: number): Promise<Record<string, unknown>[]> {
  return eventually(() => {
    const lines = wholeLinesOf(join(directory, 'audit.jsonl'))
    const changes = lines.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'change')
    return changes.length >= count ? changes : undefined
  }, `${count} changes in the audit`)
}

function proofOf(name: string, key: unknown): string {
  return `Proxy-Authorization: Basic ${Buffer.from(`${name}:${String(key)}`).toString('base64')}\r\n`
}

test('a grant lets the very next request through, and its end refuses the very next one', async () => {
  expect(await outcome()).toBe('grant-missing')
  for (let round = 0; round < 3; round++) {
    const { json } = await ask('POST', '/v1/grants', { caller: 'checkout', connection: 'crm' })
    expect(await outcome()).toBe('200')
    await ask('DELETE', `/v1/grants/${json['id']}`)
    expect(await outcome()).toBe('grant-missing')
  }
})

test('rules and a time hold as they would in the settings', async () => {
  // As long as two requests take on a machine that is busy.
  const until = new Date(Date.now() + 4_000).toISOString()
  await ask('POST', '/v1/grants', { caller: 'checkout', connection: 'crm', rules: [{ methods: ['GET'] }], until })
  expect(await outcome()).toBe('200')
  expect(await outcome(PROOF, { method: 'DELETE' })).toBe('rule-not-matched')
  await eventually(async () => ((await outcome()) === 'grant-expired' ? true : undefined), 'the end of the grant')
  expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(until))
  await ask('POST', '/v1/grants/revoke', { caller: 'checkout', connection: 'crm' })
})

test('a caller comes with its key, changes it, and goes', async () => {
  const { json } = await ask('POST', '/v1/callers', { name: 'billing' })
  expect(await outcome(proofOf('billing', json['key']))).toBe('grant-missing')
  await ask('POST', '/v1/grants', { caller: 'billing', connection: 'crm' })
  expect(await outcome(proofOf('billing', json['key']))).toBe('200')
  expect(await outcome(`Proxy-Authorization: Bearer ${json['key']}\r\n`)).toBe('200')
  const next = await ask('POST', '/v1/callers/billing/rotate-key', { overlapMs: 60_000 })
  expect([await outcome(proofOf('billing', json['key'])), await outcome(proofOf('billing', next.json['key']))]).toEqual(
    ['200', '200'],
  )
  const last = await ask('POST', '/v1/callers/billing/rotate-key')
  expect(await outcome(proofOf('billing', json['key']))).toBe('caller-unknown')
  expect(await outcome(proofOf('billing', next.json['key']))).toBe('caller-unknown')
  expect(await outcome(proofOf('billing', last.json['key']))).toBe('200')
  await ask('DELETE', '/v1/callers/billing')
  expect(await outcome(proofOf('billing', last.json['key']))).toBe('caller-unknown')
  const again = await ask('POST', '/v1/callers', { name: 'billing' })
  expect(await outcome(proofOf('billing', last.json['key']))).toBe('caller-unknown')
  expect(await outcome(proofOf('billing', again.json['key']))).toBe('grant-missing')
})

test('a connection that is switched off refuses the very next request, and says so', async () => {
  const { json } = await ask('POST', '/v1/grants', { caller: 'checkout', connection: 'crm' })
  await ask('POST', '/v1/connections/crm/disable', { reason: 'their key leaked' })
  expect(await outcome()).toBe('connection-disabled')
  expect((await ask('GET', '/v1/connections/crm', undefined, { as: 'viewer' })).json).toMatchObject({
    disabled: true,
    disabledBy: { by: 'ann', reason: 'their key leaked' },
    phase: 'held',
    source: 'static',
    holders: 1,
  })
  await ask('POST', '/v1/connections/crm/enable')
  expect(await outcome()).toBe('200')
  await ask('DELETE', `/v1/grants/${json['id']}`)
})

test('why is what the door does', async () => {
  const question = { caller: 'checkout', method: 'GET', url: 'http://api.crm.test/v1/contacts' }
  const why = async () => (await ask('POST', '/v1/why', question, { as: 'viewer' })).json
  expect(await why()).toMatchObject({ decision: 'refuse', code: await outcome() })
  const { json } = await ask('POST', '/v1/grants', { caller: 'checkout', connection: 'crm' })
  expect(await why()).toMatchObject({ decision: 'permit', grant: json['id'], connection: 'crm' })
  expect(await outcome()).toBe('200')
  const tunnel = await ask('POST', '/v1/why', { ...question, method: 'CONNECT' })
  expect(tunnel.json).toMatchObject({ decision: 'permit' })
  await ask('DELETE', `/v1/grants/${json['id']}`)
})

test.each([
  ['GET', 'http://api.crm.test/v1/contacts'],
  ['CONNECT', 'https://api.crm.test/'],
  ['GET', 'https://evil.test/'],
])('why answers as the command line does: %s %s', async (method, url) => {
  const config = join(sallyport.directory, 'sallyport.yaml')
  const { stdout } = await runCli([
    'why',
    '--config',
    config,
    '--json',
    '--caller',
    'checkout',
    '--method',
    method,
    url,
  ])
  const { json } = await ask('POST', '/v1/why', { caller: 'checkout', method, url })
  expect(json).toEqual(JSON.parse(stdout))
})

test('why of a group is what a caller of that group would be told', async () => {
  const question = { caller: 'checkout', groups: ['west'], method: 'GET', url: 'http://api.crm.test/v1/contacts' }
  const { json } = await ask('POST', '/v1/grants', { group: 'west', connection: 'crm' })
  expect((await ask('POST', '/v1/why', question)).json).toMatchObject({ decision: 'permit', grant: json['id'] })
  expect((await ask('POST', '/v1/why', { ...question, groups: ['east'] })).json['code']).toBe('grant-missing')
  await ask('DELETE', `/v1/grants/${json['id']}`)
})

test('what was changed outlives a restart, and is in the audit with who, before and after', async () => {
  const directory = crmDirectory()
  onTestFinished(() => remove(directory))
  const first = await start(directory)
  const { json: caller } = await ask('POST', '/v1/callers', { name: 'billing' }, { on: first })
  const { json: grant } = await ask('POST', '/v1/grants', { caller: 'billing', connection: 'crm' }, { on: first })
  await ask('POST', '/v1/grants', { caller: 'billing', connection: 'crm' }, { on: first, as: 'viewer' })
  expect(await first.stop()).toBe(0)
  const second = await start(directory)
  onTestFinished(() => stopCrm(second))
  expect(await outcome(proofOf('billing', caller['key']), { on: second })).toBe('200')
  const { json } = await ask('GET', '/v1/audit?kind=change', undefined, { on: second, as: 'viewer' })
  expect(json['items']).toMatchObject([
    { msg: 'change', action: 'grant.add', operator: 'vera', proof: 'api-key', code: 'role-insufficient' },
    { msg: 'change', action: 'grant.add', operator: 'ann', subject: grant['id'], after: grant },
    { msg: 'change', action: 'caller.add', operator: 'ann', subject: 'billing', after: { name: 'billing' } },
  ])
  expect(JSON.stringify(json)).not.toContain(String(caller['key']).slice(3))
  expect(await changesOf(second, 3)).toMatchObject([{ operator: 'ann' }, { operator: 'ann' }, { operator: 'vera' }])
})

test('the audit of a request is found by what it was about, and its line is exported to the byte', async () => {
  const { json: grant } = await ask('POST', '/v1/grants', { caller: 'checkout', connection: 'crm' })
  expect(await outcome()).toBe('200')
  const found = await eventually(async () => {
    const { json } = await ask('GET', '/v1/audit?kind=ask&caller=checkout&connection=crm&limit=1')
    const [item] = json['items'] as unknown as { grant?: string; credential: { fingerprint: string } }[]
    return item?.grant === grant['id'] ? item : undefined
  }, 'the request in the store')
  const { json: spent } = await ask('GET', `/v1/audit/blast-radius?fingerprint=${found.credential.fingerprint}`)
  expect(spent['items']).toContainEqual(found)
  const { text } = await ask('GET', '/v1/audit/export?kind=ask')
  expect(text.split('\n').map((line) => line && JSON.parse(line))).toContainEqual(found)
  const { json: inventory } = await ask('GET', '/v1/inventory')
  expect(inventory['items']).toContainEqual(
    expect.objectContaining({ id: grant['id'], count: 1, usedBy: [expect.objectContaining({ caller: 'checkout' })] }),
  )
  expect(inventory['secrets']).toMatchObject([
    { name: 'file:credential', connections: ['crm'], isStatic: true, isOld: false, ageMs: expect.any(Number) },
  ])
  await ask('DELETE', `/v1/grants/${grant['id']}`)
})

test('a request is told to who follows the audit, as it ends', async () => {
  const seen = sendRaw(
    sallyport.admin ?? '',
    `GET /v1/audit/tail?code=grant-missing HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${keys.viewer}\r\n\r\n`,
    { until: /event: audit\ndata: .*\n\n/ },
  )
  await eventually(async () => {
    await outcome()
    return Promise.race([seen.then(() => true), new Promise<undefined>((done) => setTimeout(done, 20, undefined))])
  }, 'an event')
  const { text } = await seen
  expect(text).toMatch(/id: \S+:\d+\nevent: audit\ndata: \{"msg":"ask".*"code":"grant-missing".*\}\n\n/)
})

test('on a socket the user of Sallyport needs no key', async () => {
  const directory = crmDirectory()
  const running = await start(directory, { admin: { listen: 'unix:admin.sock' } })
  onTestFinished(() => stopCrm(running))
  const address = `unix:${join(directory, 'admin.sock')}`
  const ask = (key: string | undefined, headers = {}) =>
    askDoor(address, { method: 'POST', path: '/v1/callers', key, body: { name: 'billing' }, headers })
  expect((await ask('a wrong one')).status).toBe(401)
  // A socket that is forwarded to a port is within reach of browsers.
  expect((await ask(undefined, { Host: 'attacker.example' })).status).toBe(421)
  expect((await ask(undefined, { Origin: 'https://attacker.example' })).status).toBe(403)
  const { status, json } = await ask(undefined)
  expect([status, json['createdBy']]).toEqual([201, `uid-${process.getuid?.()}`])
})

test('on a port nobody is an operator who is not named', async () => {
  const running = await start(crmDirectory(), { admin: { listen: '127.0.0.1:0' } })
  onTestFinished(() => stopCrm(running))
  const { status, json } = await ask('GET', '/v1/connections', undefined, { on: running })
  expect([status, json['code']]).toEqual([401, 'operators-missing'])
  expect(json['detail']).toContain('admin.operators')
})

test('on a socket the kernel says which operator it is, and nobody else is one', async () => {
  const uid = process.getuid?.() ?? 0
  const operators = {
    neighbour: { role: 'viewer', proof: { kind: 'unix-peer', gid: process.getgid?.() ?? 0 } },
    stranger: { role: 'admin', proof: { kind: 'unix-peer', uid: uid + 1 } },
  }
  const directory = crmDirectory()
  const running = await start(directory, { admin: { listen: 'unix:admin.sock', mode: '0660', operators } })
  onTestFinished(() => stopCrm(running))
  const address = `unix:${join(directory, 'admin.sock')}`
  expect(statSync(join(directory, 'admin.sock')).mode & 0o777).toBe(0o660)
  const ask = (method: string, path: string) => askDoor(address, { method, path, key: undefined })
  expect((await ask('GET', '/v1/callers')).status).toBe(200)
  expect((await ask('POST', '/v1/connections/crm/disable')).json['code']).toBe('role-insufficient')
  expect((await changesOf(running, 1))[0]).toMatchObject({
    operator: 'neighbour',
    proof: 'unix-peer',
    action: 'connection.disable',
    subject: 'crm',
    code: 'role-insufficient',
  })
})

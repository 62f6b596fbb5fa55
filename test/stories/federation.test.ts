import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createLocalJWKSet, decodeJwt, jwtVerify } from 'jose'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { type FederationPolicy, type Person, type Provider, startProvider } from '../support/exchange-server.ts'
import { HandClock } from '../support/hand-clock.ts'
import { openHouseInside } from '../support/house.ts'
import { type RawAnswer, sendRaw, WHOLE_ANSWER } from '../support/raw-client.ts'
import { eventually, type Running, remove, runCli, startSallyport } from '../support/sallyport.ts'
import { type RawUpstream, startUpstream } from '../support/upstream.ts'
import { askAdmin, authority, connectionTo, crmDirectory, crmSettings, doorOf, stopCrm } from './crm.ts'

/** Our own name at the identity provider; its policies take the same tokens. */
const AUDIENCE = 'https://sallyport.test'
const ELSEWHERE = 'https://elsewhere.test'

function person(id: string, role: string, lifetime = 600): Person {
  return { id, secret: `secret-of-${id}`, claims: { role }, lifetime }
}

const ann = person('ann', 'analyst')
const root = person('root', 'admin')
/** Who has a role that nobody has mapped, and those whose policy at the workspace wants something else. */
const intern = person('intern', 'intern')
const misfits = { iss: person('iss', 'iss'), aud: person('aud', 'aud'), sub: person('sub', 'sub') }
/** Whose tokens are nearly over when they come. */
const brief = person('brief', 'brief', 120)
const people = [ann, root, intern, ...Object.values(misfits), brief]

let idp: Provider
let workspace: Provider
let upstream: RawUpstream
let sallyport: Running

beforeAll(async () => {
  idp = await startProvider(authority, 'idp.test', { is: 'idp', people })
  workspace = await startProvider(authority, 'ws.test', {
    is: 'workspace',
    policies: policies(),
    jwks: await idp.jwks(),
  })
  upstream = await startUpstream(undefined, await authority.issue(['api.crm.test']))
  sallyport = await startSallyport(crmDirectory(), crmSettings({ port: upstream.port, settings: settings() }))
}, 30_000)

afterAll(async () => {
  await stopCrm(sallyport)
  await upstream?.close()
  await workspace?.stop()
  await idp?.stop()
})

function policies(): FederationPolicy[] {
  const policy = (role: string, subject: string, changes: Partial<FederationPolicy> = {}) => ({
    clientId: `sp-${role}`,
    issuer: idp.issuer,
    audiences: [AUDIENCE],
    subject,
    ...changes,
  })
  return [
    policy('analyst', 'ann'),
    policy('admin', 'root'),
    policy('brief', 'brief'),
    policy('iss', 'iss', { issuer: `${idp.issuer}/` }),
    policy('aud', 'aud', { audiences: [ELSEWHERE] }),
    policy('sub', 'somebody-else'),
  ]
}

function settings(): object {
  const reached = { tls: { ca: { file: 'ca.pem' } }, allowPrivate: ['127.0.0.0/8'] }
  const roles = ['analyst', 'admin', 'brief', 'iss', 'aud', 'sub']
  const credential = {
    kind: 'token-exchange',
    tokenEndpoint: `${workspace.issuer}/token`,
    scope: 'all-apis',
    subject: { from: 'caller' },
    clientIdFrom: { claim: 'role', map: Object.fromEntries(roles.map((role) => [role, `sp-${role}`])) },
    ...reached,
  }
  const names = people.map(({ id }) => `corp/${id}`)
  return {
    callers: {
      checkout: { kind: 'api-key', key: { file: 'checkout' } },
      people: { kind: 'jwt', issuer: idp.issuer, audience: AUDIENCE, name: 'corp/{sub}', ...reached },
    },
    connections: { crm: connectionTo('api.crm.test', upstream.port, { credential }) },
    grants: names.map((caller) => ({ caller, connection: 'crm' })),
    dns: { hosts: Object.fromEntries(['api.crm.test', 'idp.test', 'ws.test'].map((host) => [host, ['127.0.0.1']])) },
  }
}

function askWith(token: string, path: string, door = doorOf(sallyport, 'forward')): Promise<RawAnswer> {
  const proof = `Proxy-Authorization: Bearer ${token}\r\n`
  const head = `GET http://api.crm.test${path} HTTP/1.1\r\nHost: api.crm.test\r\n${proof}\r\n`
  return sendRaw(door, head, { until: WHOLE_ANSWER })
}

function headOf(path: string): string {
  return upstream.heads().find((head) => head.startsWith(`GET ${path} `)) ?? ''
}

function tokenSpentAt(path: string): string {
  return /^authorization: Bearer (\S+)\r$/im.exec(headOf(path))?.[1] ?? ''
}

function entryOf(path: string): Promise<Record<string, unknown>> {
  return eventually(
    async () => (await sallyport.audit(0)).find((entry) => entry['path'] === path),
    `an entry of ${path}`,
  )
}

test('an app reaches the API as the principal of its role, and never with its own token', async () => {
  const keys = createLocalJWKSet(await workspace.jwks())
  for (const [who, principal] of [
    [ann, 'sp-analyst'],
    [root, 'sp-admin'],
  ] as const) {
    const token = await idp.token(who, AUDIENCE)
    const path = `/as/${who.id}`
    expect((await askWith(token, path)).status).toBe(200)
    const { payload } = await jwtVerify(tokenSpentAt(path), keys, { issuer: workspace.issuer })
    expect(payload).toMatchObject({ sub: principal, exp: decodeJwt(token).exp })
    expect(upstream.bytes()).not.toContain(token)
    const subject = expect.stringMatching(/^caller@[0-9a-f]{8}$/)
    expect(await entryOf(path)).toMatchObject({
      caller: `corp/${who.id}`,
      credential: { source: 'token-exchange', subject, actsAs: principal },
    })
    expect(sallyport.output()).not.toContain(token)
  }
})

test.each(['iss', 'aud', 'sub'] as const)(
  'a token whose %s the policy does not want is exchanged for nothing',
  async (what) => {
    const token = await idp.token(misfits[what], AUDIENCE)
    const { status, text } = await askWith(token, `/misfit/${what}`)
    expect(status, text).toBe(502)
    expect(text).toContain('"credential-failed"')
    expect(text).not.toContain('federation policy')
    expect(await entryOf(`/misfit/${what}`)).toMatchObject({
      reason: expect.stringMatching(/answered 400 invalid_grant$/),
    })
    expect(headOf(`/misfit/${what}`)).toBe('')
  },
)

test('a role that is not in the map is nobody, and a token for somebody else proves nobody', async () => {
  const { status, text } = await askWith(await idp.token(intern, AUDIENCE), '/unmapped')
  expect(status, text).toBe(403)
  expect(text).toContain('"identity-missing"')
  expect((await askWith(await idp.token(ann, ELSEWHERE), '/elsewhere')).status).toBe(407)
  expect(headOf('/unmapped') + headOf('/elsewhere')).toBe('')
})

test('settings that grant it to who shows a key are refused before anything is asked', async () => {
  const directory = crmDirectory()
  onTestFinished(() => remove(directory))
  const grants = [{ caller: 'checkout', connection: 'crm' }]
  const file = join(directory, 'sallyport.yaml')
  writeFileSync(file, JSON.stringify(crmSettings({ port: 1, settings: { ...settings(), grants } })))
  const { code, stderr } = await runCli(['check', '--config', file])
  expect(code).toBe(2)
  expect(stderr).toMatch(/grants\[0\]\.caller: use a caller that shows a token: crm acts for .* \(api-key\) is none/)
})

test('doctor says that each caller has its own, and asks for none', async () => {
  const file = join(sallyport.directory, 'sallyport.yaml')
  const { stdout } = await runCli(['doctor', '--config', file])
  expect(stdout).toMatch(/crm ws\.test.*: each caller has a credential of its own here/)
  expect(stdout).not.toContain('nobody foresaw')
})

test('the operator sees that there is one for each, and until when', async () => {
  const { json } = await askAdmin(sallyport, '/readyz')
  expect(json).toMatchObject({ connections: { crm: { separate: expect.any(Number) } } })
})

test('an exp that was copied from an old token is honoured, whatever expires_in says', async () => {
  const clock = new HandClock()
  clock.jumpWall(Date.now() - clock.now())
  const directory = crmDirectory()
  const { house, door, entry } = await openHouseInside(
    directory,
    crmSettings({ port: upstream.port, settings: { ...settings(), admin: undefined } }),
    clock,
  )
  onTestFinished(async () => {
    await house.close()
    remove(directory)
  })
  const token = await idp.token(brief, AUDIENCE)
  const left = (decodeJwt(token).exp ?? 0) * 1000 - clock.now()
  expect(left).toBeLessThanOrEqual(120_000)
  expect((await askWith(token, '/brief/1', door('forward'))).status).toBe(200)
  expect(decodeJwt(tokenSpentAt('/brief/1')).exp).toBe(decodeJwt(token).exp)
  clock.advance(left - 11_000)
  expect((await askWith(token, '/brief/2', door('forward'))).status).toBe(200)
  expect(tokenSpentAt('/brief/2')).toBe(tokenSpentAt('/brief/1'))
  // The caller is still known, by the slack that clocks are allowed; what it could be exchanged for is over.
  clock.advance(12_000)
  const { status, text } = await askWith(token, '/brief/3', door('forward'))
  expect(status, text).toBe(403)
  expect(await entry({ path: '/brief/3' })).toMatchObject({ reason: 'the token of corp/brief has expired' })
  expect(headOf('/brief/3')).toBe('')
})

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createLocalJWKSet, decodeJwt, jwtVerify } from 'jose'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { type FederationPolicy, type Person, type Provider, startProvider } from '../support/exchange-server.ts'
import { HandClock } from '../support/hand-clock.ts'
import { openHouseInside } from '../support/house.ts'
import { type RawAnswer, sendRaw, WHOLE_ANSWER } from '../support/raw-client.ts'
import { eventually, type Running, remove, runCli, startSallyport, writeSecret } from '../support/sallyport.ts'
import { type RawUpstream, startUpstream } from '../support/upstream.ts'
import { askAdmin, authority, connectionTo, crmDirectory, crmSettings, doorOf, PROOF, stopCrm } from './crm.ts'

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
  upstream = await startUpstream(undefined, await authority.issue(['*.crm.test']))
  sallyport = await startSallyport(directoryWithSecret(), crmSettings({ port: upstream.port, settings: settings() }))
})

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

function directoryWithSecret(): string {
  const directory = crmDirectory()
  writeSecret(directory, 'ann', ann.secret)
  return directory
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
  const ofClient = (more: object) => ({ ...credential, clientIdFrom: undefined, ...more })
  const header = 'x-forwarded-access-token'
  const others = {
    // A token that mints a token: one of its own, that of a machine at the identity provider, is exchanged.
    idp: {
      kind: 'client-credentials',
      issuer: idp.issuer,
      clientId: 'ann',
      clientSecret: { file: 'ann' },
      ...reached,
      tokenParams: { resource: AUDIENCE },
    },
    chain: ofClient({
      clientId: 'sp-analyst',
      subject: { from: 'connection', connection: 'idp' },
      subjectTokenType: 'jwt',
    }),
    hop: ofClient({
      clientId: 'sp-admin',
      subject: { from: 'header', header, trustedCallers: ['checkout'] },
      subjectTokenType: 'jwt',
    }),
    own: { kind: 'passthrough-obo', audience: AUDIENCE },
    strange: { kind: 'passthrough-obo', audience: ELSEWHERE },
  }
  const names = people.map(({ id }) => `corp/${id}`)
  return {
    callers: {
      checkout: { kind: 'api-key', key: { file: 'checkout' } },
      people: { kind: 'jwt', issuer: idp.issuer, audience: AUDIENCE, name: 'corp/{sub}', ...reached },
    },
    allowlist: ['*.crm.test'],
    connections: {
      crm: connectionTo('api.crm.test', upstream.port, { credential }),
      ...Object.fromEntries(
        Object.entries(others).map(([name, one]) => [
          name,
          connectionTo(`${name}.crm.test`, upstream.port, { credential: one }),
        ]),
      ),
    },
    grants: [
      ...names.map((caller) => ({ caller, connection: 'crm' })),
      ...['chain', 'hop'].map((connection) => ({ caller: 'checkout', connection })),
      ...['hop', 'own', 'strange'].map((connection) => ({ caller: 'corp/ann', connection })),
    ],
    dns: { hosts: Object.fromEntries(hosts.map((host) => [host, ['127.0.0.1']])) },
  }
}

const hosts = ['api', 'idp', 'chain', 'hop', 'own', 'strange']
  .map((name) => `${name}.crm.test`)
  .concat('idp.test', 'ws.test')

function askWith(token: string, path: string, door = doorOf(sallyport, 'forward')): Promise<RawAnswer> {
  return askAt('api', path, `Proxy-Authorization: Bearer ${token}\r\n`, door)
}

/** `fields`: whole lines, the proof among them. */
function askAt(name: string, path: string, fields: string, door = doorOf(sallyport, 'forward')): Promise<RawAnswer> {
  const host = `${name}.crm.test`
  const head = `GET http://${host}${path} HTTP/1.1\r\nHost: ${host}\r\n${fields}\r\n`
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
      reason: expect.stringMatching(
        /answered 400 invalid_grant: what is exchanged was not taken: compare its iss, aud and sub/,
      ),
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
  const directory = directoryWithSecret()
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

test('a token that mints a token: what another connection gives is exchanged, with a secret of its own behind it', async () => {
  expect((await askAt('chain', '/chain', PROOF)).status).toBe(200)
  expect(decodeJwt(tokenSpentAt('/chain')).sub).toBe('sp-analyst')
  expect(await entryOf('/chain')).toMatchObject({
    credential: {
      subject: expect.stringMatching(/^connection:idp@[0-9a-f]{8}$/),
      secret: expect.stringMatching(/^file:ann@/),
    },
  })
})

test('a forwarded token is exchanged for the hop that is trusted alone, and travels no further', async () => {
  const token = await idp.token(root, AUDIENCE)
  const forwarded = `X-Forwarded-Access-Token: ${token}\r\n`
  expect((await askAt('hop', '/hop', PROOF + forwarded)).status).toBe(200)
  expect(decodeJwt(tokenSpentAt('/hop')).sub).toBe('sp-admin')
  expect(headOf('/hop')).not.toMatch(/x-forwarded/i)
  const own = `Proxy-Authorization: Bearer ${await idp.token(ann, AUDIENCE)}\r\n`
  const refused = await askAt('hop', '/hop/by-ann', own + forwarded)
  expect(refused.status, refused.text).toBe(403)
  expect(await entryOf('/hop/by-ann')).toMatchObject({
    code: 'identity-missing',
    reason: expect.stringMatching(/^corp\/ann is not trusted to say/),
  })
  expect(headOf('/hop/by-ann')).toBe('')
})

test('a token is passed on as it is only to where it was meant for', async () => {
  const token = await idp.token(ann, AUDIENCE)
  const proof = `Proxy-Authorization: Bearer ${token}\r\n`
  expect((await askAt('own', '/own', proof)).status).toBe(200)
  expect(tokenSpentAt('/own')).toBe(token)
  const refused = await askAt('strange', '/strange', proof)
  expect(refused.status, refused.text).toBe(403)
  expect(headOf('/strange')).toBe('')
})

test('the operator sees that there is one for each, and until when', async () => {
  const { json } = await askAdmin(sallyport, '/readyz')
  expect(json).toMatchObject({ connections: { crm: { separate: expect.any(Number) } } })
})

test('an exp that was copied from an old token is honoured, whatever expires_in says', async () => {
  const clock = new HandClock()
  clock.jumpWall(Date.now() - clock.now())
  const directory = directoryWithSecret()
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
  // Two minutes, and what this house's clock, which stands still, has fallen behind meanwhile.
  expect(left).toBeLessThan(180_000)
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

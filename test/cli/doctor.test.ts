import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { authority, CALLER_KEY, CREDENTIAL, connectionTo } from '../stories/crm.ts'
import { makeAuthority } from '../support/certificates.ts'
import { freePort } from '../support/ports.ts'
import { writeSecret } from '../support/sallyport.ts'
import { settingsFile } from '../support/settings-file.ts'
import { type RawUpstream, startUpstream } from '../support/upstream.ts'
import { examined, examinedInWords, settingsFor } from './doctoring.ts'

const DAY_MS = 86_400_000

let upstream: RawUpstream
let stranger: RawUpstream

beforeAll(async () => {
  upstream = await startUpstream(undefined, await authority.issue(['api.crm.test']))
  stranger = await startUpstream(undefined, await (await makeAuthority()).issue(['api.crm.test']))
})

afterAll(() => Promise.all([upstream.close(), stranger.close()]))

/** Nothing that has to run, so that only what a test is about can fail. */
const AT_REST = { listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }], admin: undefined }

test('where all is well nothing fails, and the exit code is 0', async () => {
  const { config } = settingsFor(upstream.port, AT_REST)
  const report = await examined(config)
  expect(report.code).toBe(0)
  expect(report.about('settings', config)).toMatchObject({ state: 'ok' })
  expect(report.about('secrets', 'callers.checkout.key')).toMatchObject({ state: 'ok', says: 'can be read' })
  expect(report.about('grants', 'grants[0]')).toMatchObject({ state: 'ok' })
  const { state, says } = report.about('upstreams', 'crm api.crm.test')
  expect(state).toBe('warning')
  expect(says).toMatch(/^127\.0\.0\.1 port \d+ answers, TLSv1\.3; its certificate ends on .*, in 0 days$/)
})

test('settings that cannot be read are all that is told, and each fault of theirs counts', async () => {
  const config = await settingsFile('listeners: []\nallowlist: [ API.test ]\n')
  const { code, findings } = await examined(config)
  expect(code).toBe(2)
  expect(findings).toMatchObject([
    { check: 'settings', state: 'failed', subject: `${config}:1:12 listeners`, says: 'name at least one listener' },
    {
      check: 'settings',
      state: 'failed',
      subject: `${config}:2:14 allowlist[0]`,
      says: expect.stringContaining('use '),
    },
  ])
})

test('settings that are not there are a fault like any other', async () => {
  const { code, findings } = await examined('/nonexistent/s.yaml')
  expect(code).toBe(1)
  expect(findings).toMatchObject([{ state: 'failed', says: 'does not exist: use the path of a settings file' }])
})

test('a warning of the settings is one here, and does not count', async () => {
  const { config } = settingsFor(upstream.port, { ...AT_REST, allowlist: ['other.test'] })
  const { code, findings } = await examined(config)
  expect(code).toBe(0)
  expect(findings).toContainEqual({
    check: 'settings',
    subject: expect.stringMatching(/:\d+:\d+ connections\.crm\.hosts\[0\]$/),
    state: 'warning',
    says: 'is not on the allowlist, so it is refused',
  })
})

test('a secret that is to come may be missing', async () => {
  const clientSecret = { current: { file: 'credential' }, next: { file: 'not-written-yet' } }
  const credential = {
    kind: 'client-credentials',
    tokenEndpoint: 'https://login.test/token',
    clientId: 'crm',
    clientSecret,
  }
  const { config } = settingsFor(upstream.port, AT_REST, { credential })
  const report = await examined(config)
  const at = 'connections.crm.credential.clientSecret'
  expect(report.about('secrets', `${at}.current`)).toMatchObject({ state: 'ok', says: 'can be read' })
  expect(report.about('secrets', `${at}.next`)).toMatchObject({ state: 'ok', says: 'is not there yet, which is fine' })
})

test('a secret that others may read is named with its remedy, and hides nothing of other connections', async () => {
  const other = connectionTo('other.test', upstream.port, { credential: { kind: 'none' } })
  const crm = connectionTo('api.crm.test', upstream.port)
  const settings = { ...AT_REST, connections: { crm, other }, dns: { hosts: { 'other.test': ['127.0.0.1'] } } }
  const { config, directory } = settingsFor(upstream.port, settings)
  chmodSync(join(directory, 'credential'), 0o644)
  const report = await examined(config)
  expect(report.about('secrets', 'connections.crm.credential.secret')).toMatchObject({
    state: 'failed',
    says: `${join(directory, 'credential')} is open to other users`,
    remedy: `chmod 600 ${join(directory, 'credential')}`,
  })
  expect(report.about('upstreams', 'crm api.crm.test')).toMatchObject({ state: 'skipped' })
  expect(report.about('upstreams', 'other other.test')).toMatchObject({ state: 'failed' })
  expect(report.code).toBe(2)
})

test('files of a TLS door and keys of operators that are missing hide nothing of the connections', async () => {
  const tls = { certificate: { file: 'door.pem' }, key: { file: 'door.key' } }
  const listeners = [{ kind: 'forward', listen: '127.0.0.1:0', tls }]
  const proof = { kind: 'api-key', key: { file: 'ann' } }
  const admin = { listen: '127.0.0.1:0', operators: { ann: { role: 'admin', proof } } }
  const { config, directory } = settingsFor(upstream.port, { ...AT_REST, listeners, admin })
  const report = await examined(config)
  expect(report.about('secrets', 'listeners[0].tls.certificate')).toMatchObject({
    state: 'failed',
    says: expect.stringContaining(join(directory, 'door.pem')),
  })
  for (const subject of ['listeners[0].tls.key', 'admin.operators.ann.proof.key'])
    expect(report.about('secrets', subject)).toMatchObject({ state: 'failed' })
  expect(report.about('upstreams', 'crm api.crm.test').says).toContain('answers, TLSv1.3')
})

test.each([
  [{ store: 'crm' }, 'is in the store'],
  [{ systemd: 'crm' }, 'systemd hands crm to the service alone'],
])('a secret that only a running sidecar has, %j, is no fault, and hides nothing', async (secret, says) => {
  const crm = connectionTo('api.crm.test', upstream.port, { credential: { kind: 'static', secret } })
  const other = connectionTo('other.test', upstream.port, { credential: { kind: 'none' } })
  const dns = { hosts: { 'other.test': ['127.0.0.1'] } }
  const store = { kind: 'sqlite', path: 'state/store.db', key: { file: 'credential' } }
  const { config } = settingsFor(upstream.port, { ...AT_REST, store, connections: { crm, other }, dns })
  const report = await examined(config, { CREDENTIALS_DIRECTORY: undefined })
  const unseen = { state: 'skipped', says: expect.stringContaining(says) }
  expect(report.about('secrets', 'connections.crm.credential.secret')).toMatchObject(unseen)
  expect(report.about('upstreams', 'crm api.crm.test')).toMatchObject({ state: 'skipped' })
  expect(report.about('upstreams', 'other other.test')).toMatchObject({ state: 'failed' })
})

test('a key of a caller that others may read hides nothing of the connections', async () => {
  const { config, directory } = settingsFor(upstream.port, AT_REST)
  chmodSync(join(directory, 'checkout'), 0o604)
  const report = await examined(config)
  expect(report.about('secrets', 'callers.checkout.key')).toMatchObject({
    state: 'failed',
    remedy: `chmod 600 ${join(directory, 'checkout')}`,
  })
  expect(report.about('upstreams', 'crm api.crm.test').says).toContain('answers, TLSv1.3')
})

test.each([
  ['has ended', -1, 'failed', /^the token in it ended on /],
  ['ends within two weeks', 13, 'warning', /^the token in it ends on .*, in 12 days$/],
  ['lasts', 20, 'ok', /^the token in it is good until /],
])('a secret that is a token and %s', async (_, days, state, says) => {
  const { config, directory } = settingsFor(upstream.port, AT_REST, { credential: TOKEN })
  const until = new Date(Date.now() + days * DAY_MS)
  const jwt = new SignJWT({}).setProtectedHeader({ alg: 'HS256' }).setExpirationTime(until)
  writeSecret(directory, 'token', await jwt.sign(new Uint8Array(32)))
  const report = await examined(config)
  const found = report.about('secrets', 'connections.crm.credential.secret')
  expect(found).toMatchObject({ state, says: expect.stringMatching(says) })
  expect(found.remedy).toBe(state === 'ok' ? undefined : 'have a new one issued')
  expect(report.code).toBe(state === 'failed' ? 1 : 0)
})

test.each([
  [12, 'ok'],
  [4, 'warning'],
])(
  'a token that lives for an hour is renewed by others, and is good for %i minutes still: %s',
  async (minutes, state) => {
    const { config, directory } = settingsFor(upstream.port, AT_REST, { credential: TOKEN })
    const until = Date.now() + minutes * 60_000
    const jwt = new SignJWT({}).setProtectedHeader({ alg: 'HS256' }).setExpirationTime(new Date(until))
    writeSecret(directory, 'token', await jwt.setIssuedAt(new Date(until - 3_600_000)).sign(new Uint8Array(32)))
    expect((await examined(config)).about('secrets', 'connections.crm.credential.secret')).toMatchObject({ state })
  },
)

const TOKEN = { kind: 'static', secret: { file: 'token' } }

test('the certificates of a file are judged by the last one that ends', async () => {
  const { config, directory } = settingsFor(upstream.port, AT_REST)
  const ended = await authority.issue(['old.test'], { expired: true })
  writeSecret(directory, 'ca.pem', ended.cert)
  const failed = (await examined(config)).about('secrets', 'connections.crm.tls.ca')
  expect(failed).toMatchObject({ state: 'failed', says: expect.stringMatching(/^its certificate ended on /) })
  expect(failed.remedy).toContain(join(directory, 'ca.pem'))
  writeSecret(directory, 'ca.pem', ended.cert + authority.certPem)
  expect((await examined(config)).about('secrets', 'connections.crm.tls.ca')).toMatchObject({ state: 'warning' })
})

test('a grant that has ended, and one that ends soon, are named with what to do', async () => {
  const until = (days: number) => new Date(Date.now() + days * DAY_MS).toISOString()
  const grant = { caller: 'checkout', connection: 'crm' }
  const grants = [grant, { ...grant, until: until(-1) }, { ...grant, until: until(3) }, { ...grant, until: until(90) }]
  const { config } = settingsFor(upstream.port, { ...AT_REST, grants })
  const report = await examined(config)
  const states = grants.map((_, index) => report.about('grants', `grants[${index}]`).state)
  expect(states).toEqual(['ok', 'failed', 'warning', 'ok'])
  expect(report.about('grants', 'grants[1]').remedy).toBe(`renew it by a later "until" in ${config}`)
  expect(report.code).toBe(1)
})

test('an upstream that nobody runs', async () => {
  const { config } = settingsFor(await freePort(), AT_REST)
  const { code, ...report } = await examined(config)
  expect(report.about('upstreams', 'crm api.crm.test')).toMatchObject({
    state: 'failed',
    says: expect.stringMatching(/^api\.crm\.test at 127\.0\.0\.1 port \d+: ECONNREFUSED$/),
    remedy: 'start api.crm.test, open the way to it, or correct the port at connections.crm',
  })
  expect(code).toBe(1)
})

test('an upstream whose certificate has ended, or that no authority of tls.ca has signed, is not mended by tls.ca', async () => {
  const expired = await startUpstream(undefined, await authority.issue(['api.crm.test'], { expired: true }))
  const remedyAt = async (port: number, connection: object = {}) => {
    const found = (await examined(settingsFor(port, AT_REST, connection).config)).about('upstreams', 'crm api.crm.test')
    return found.remedy
  }
  expect(await remedyAt(expired.port)).toBe('whoever runs api.crm.test has to renew its certificate')
  await expired.close()
  expect(await remedyAt(stranger.port, { tls: undefined })).toContain(
    'add to connections.crm: tls: { ca: { file: PATH } }',
  )
})

test.each([
  [
    'of another authority',
    () => stranger.port,
    'api.crm.test',
    'the authority in ca.pem is not the one that signed its certificate: name the one that did at connections.crm.tls.ca',
  ],
  ['for another name', () => upstream.port, 'other.test', 'use a name at connections.crm that its certificate is for'],
])('an upstream with a certificate %s', async (_, port, host, remedy) => {
  const settings = { ...AT_REST, allowlist: [host], dns: { hosts: { [host]: ['127.0.0.1'] } } }
  const { config } = settingsFor(port(), settings, { hosts: [host] })
  const found = (await examined(config)).about('upstreams', `crm ${host}`)
  expect(found).toMatchObject({ state: 'failed', says: expect.stringContaining(`${host} at 127.0.0.1: `) })
  expect(found.remedy).toContain(remedy)
})

test('an upstream at a private address that was not allowed', async () => {
  const { config } = settingsFor(upstream.port, AT_REST, { allowPrivate: [] })
  const found = (await examined(config)).about('upstreams', 'crm api.crm.test')
  expect(found).toMatchObject({ state: 'failed', says: 'api.crm.test is at 127.0.0.1 (loopback)' })
  expect(found.remedy).toContain('add to connections.crm: allowPrivate: [RANGE]')
})

test('an upstream without an address', async () => {
  const { config } = settingsFor(upstream.port, { ...AT_REST, dns: { servers: ['127.0.0.1:1'] } })
  const found = (await examined(config)).about('upstreams', 'crm api.crm.test')
  expect(found.state).toBe('failed')
  expect(found.remedy).toContain('dns: { hosts: { api.crm.test: [ADDRESS] } }')
})

test('an upstream that is a listener of this very Sallyport', async () => {
  const port = await freePort()
  const listeners = [{ kind: 'forward', listen: `127.0.0.1:${port}` }]
  const { config } = settingsFor(port, { ...AT_REST, listeners })
  const found = (await examined(config)).about('upstreams', 'crm api.crm.test')
  expect(found).toMatchObject({ state: 'failed', remedy: expect.stringContaining('a listener of this Sallyport') })
})

const PASSED = { credential: { kind: 'none' }, connect: 'tunnel' }

test('what passes unopened and may be anything is asked for no TLS', async () => {
  const bare = await startUpstream()
  onTestFinished(() => bare.close())
  const { config } = settingsFor(bare.port, AT_REST, { ...PASSED, tunnel: 'any' })
  const found = (await examined(config)).about('upstreams', 'crm api.crm.test')
  expect(found).toMatchObject({
    state: 'ok',
    says: `127.0.0.1 port ${bare.port} answers; what it speaks is for the client`,
  })
})

test('a certificate that clients judge by themselves is no failure', async () => {
  const { config } = settingsFor(stranger.port, AT_REST, PASSED)
  const { code, about } = await examined(config)
  const found = about('upstreams', 'crm api.crm.test')
  expect(found).toMatchObject({
    state: 'warning',
    says: expect.stringContaining('clients of a tunnel judge it by themselves'),
  })
  expect(found.remedy).toContain('the authority in ca.pem is not the one that signed its certificate')
  expect(code).toBe(0)
})

test('a wildcard is no upstream that could be dialled, and is not passed over in silence', async () => {
  const { config } = settingsFor(upstream.port, AT_REST, { hosts: ['api.crm.test', '*.crm.test'] })
  const found = (await examined(config)).about('upstreams', 'crm *.crm.test')
  expect(found).toMatchObject({ state: 'skipped', says: 'a wildcard is no name to dial' })
})

test('where the environment would print secrets, none is opened', async () => {
  const { config } = settingsFor(upstream.port, AT_REST)
  const { code, findings } = await examined(config, { SSLKEYLOGFILE: '/nonexistent/keys' })
  expect(code).toBe(1)
  expect(findings).toMatchObject([
    { check: 'settings', subject: 'environment', state: 'failed', says: expect.stringMatching(/^unset SSLKEYLOGFILE/) },
  ])
})

test('for people, a line for each finding by check, its remedy below it, and a sum', async () => {
  const { config, directory } = settingsFor(upstream.port, AT_REST)
  chmodSync(join(directory, 'credential'), 0o640)
  const { code, stdout, stderr } = await examinedInWords(config)
  expect({ code, stderr }).toEqual({ code: 1, stderr: '' })
  const subject = 'connections.crm.credential.secret'
  const line = `  failed   ${subject}: ${join(directory, 'credential')} is open to other users\n             chmod 600 ${join(directory, 'credential')}\n`
  expect(stdout).toMatch(/^settings\n {2}ok {7}/)
  expect(stdout).toContain(line)
  expect(stdout).toMatch(/\n1 failed, \d+ warning, \d+ skipped, \d+ ok\n$/)
})

test('no secret is printed, whatever is wrong with it', async () => {
  const { config } = settingsFor(stranger.port, AT_REST)
  const texts = [(await examined(config)).text, (await examinedInWords(config)).stdout]
  for (const secret of [CREDENTIAL, CALLER_KEY]) expect(texts.join()).not.toContain(secret)
})

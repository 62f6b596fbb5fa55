import { spawnSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { proxySupportOf } from '../../src/cli/doctor/node-version.ts'
import { bareEnvironment } from '../clients/environment.ts'
import { authority, CALLER_KEY, CREDENTIAL, PROOF } from '../stories/crm.ts'
import { hasTool } from '../support/debian.ts'
import { freePort } from '../support/ports.ts'
import { sendRaw } from '../support/raw-client.ts'
import { type RawUpstream, startUpstream } from '../support/upstream.ts'
import { emptyDirectory, examined, examinedAfter, reportOf, settingsFor, sidecarFor } from './doctoring.ts'
import { CLI } from './running.ts'

let upstream: RawUpstream

beforeAll(async () => {
  upstream = await startUpstream(undefined, await authority.issue(['api.crm.test']))
})

afterAll(() => upstream.close())

const reverse = { kind: 'reverse', listen: 'unix:crm.sock', connection: 'crm' }
const admin = { listen: 'unix:admin.sock' }

/** A forward door with a port that is known beforehand, because a variable has to name it. */
async function doors() {
  const listen = `127.0.0.1:${await freePort()}`
  return { listen, settings: { listeners: [{ kind: 'forward', listen }, reverse], admin } }
}

test('of a sidecar that does not run, each door is a failure with the line that starts it', async () => {
  const { listen, settings } = await doors()
  const { config } = settingsFor(upstream.port, settings)
  const report = await examined(config)
  const remedy = `sallyport serve --config ${config}`
  for (const subject of [`forward ${listen}`, 'reverse unix:crm.sock', 'admin unix:admin.sock'])
    expect(report.about('sidecar', subject)).toMatchObject({ state: 'failed', remedy })
  expect(report.about('sidecar', `forward ${listen}`).says).toBe('nothing listens there (ECONNREFUSED)')
  expect(report.code).toBe(3)
})

test('of one that runs, the doors and the state of each connection are told', async () => {
  const { listen, settings } = await doors()
  const address = `127.0.0.1:${await freePort()}`
  const { config } = await sidecarFor(upstream.port, { ...settings, admin: { listen: address } })
  // Were the agent to heed the proxy variables, it would ask the forward door about the admin door.
  const report = await examined(config, { NODE_USE_ENV_PROXY: '1', http_proxy: `http://${listen}` })
  for (const subject of [`forward ${listen}`, 'reverse unix:crm.sock'])
    expect(report.about('sidecar', subject)).toMatchObject({ state: 'ok', says: 'something listens' })
  expect(report.about('sidecar', `admin ${address}`)).toMatchObject({ state: 'ok', says: 'the sidecar is ready' })
  const connection = report.about('sidecar', 'connection crm')
  expect(connection).toMatchObject({ state: 'ok', says: 'a long-lived secret is injected' })
})

test('of a transparent door it is told where the rest is to be looked up', async () => {
  const listen = `127.0.0.1:${await freePort()}`
  const listeners = [{ kind: 'transparent', listen, caller: 'app' }]
  const { config } = await sidecarFor(upstream.port, { listeners, callers: { app: { kind: 'socket' } }, grants: [] })
  const { state, says } = (await examined(config)).about('sidecar', `transparent ${listen}`)
  expect([state, says]).toEqual(['ok', expect.stringMatching(/^something listens; .*: nft list ruleset$/)])
})

test('ports that are chosen at start are skipped, with the reason', async () => {
  const settings = { listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }], admin: { listen: '127.0.0.1:0' } }
  const report = await examined(settingsFor(upstream.port, settings).config)
  const told = { state: 'skipped', says: 'its port is chosen at start: name one to have it looked at' }
  expect(report.about('sidecar', 'forward 127.0.0.1:0')).toMatchObject(told)
  expect(report.about('sidecar', 'admin 127.0.0.1:0')).toMatchObject(told)
  expect(report.about('caller', 'proxy variables')).toMatchObject({ state: 'skipped' })
})

test('a mint that failed in the sidecar fails here, with its reason', async () => {
  const { listen, settings } = await doors()
  const tokenEndpoint = `https://api.crm.test:${await freePort()}/token`
  const credential = {
    kind: 'client-credentials',
    tokenEndpoint,
    clientId: 'crm',
    clientSecret: { file: 'credential' },
  }
  const { config } = await sidecarFor(upstream.port, settings, {
    credential: { ...credential, allowPrivate: ['127.0.0.0/8'] },
  })
  const request = `GET http://api.crm.test/ HTTP/1.1\r\nHost: api.crm.test\r\n${PROOF}\r\n`
  await sendRaw(listen, request, { until: /\}\n$/ })
  const report = await examined(config)
  expect(report.about('sidecar', 'connection crm')).toMatchObject({
    state: 'failed',
    says: expect.stringMatching(
      /^there is no token: the last mint failed; at .*ECONNREFUSED \(credential-unavailable\)$/,
    ),
    remedy: expect.stringMatching(/^it is tried again from .* on$|^see the check "issuers"$/),
  })
  expect(report.about('sidecar', 'admin unix:admin.sock')).toMatchObject({
    state: 'ok',
    says: 'the sidecar is ready; without a credential: crm',
  })
  expect(report.text).not.toContain(CREDENTIAL)
})

test('a mint that asks no issuer is not said to be looked at as one', async () => {
  const { listen, settings } = await doors()
  const credential = { kind: 'exec', command: ['/bin/echo', 'no JSON'] }
  const { config } = await sidecarFor(upstream.port, settings, { credential })
  const request = `GET http://api.crm.test/ HTTP/1.1\r\nHost: api.crm.test\r\n${PROOF}\r\n`
  await sendRaw(listen, request, { until: /\}\n$/ })
  const found = (await examined(config)).about('sidecar', 'connection crm')
  expect(found).toMatchObject({
    state: 'failed',
    says: expect.stringContaining('is not a JSON object: let it print {"token": TOKEN, "expiresAt": TIME}'),
    remedy: expect.stringMatching(
      /^it is tried again from .* on$|^put right in connections\.crm\.credential what it says$/,
    ),
  })
})

test('what listens at the admin address and is no Sallyport', async () => {
  const port = await freePort()
  const other = createServer(
    (socket) => void socket.on('error', () => undefined).end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]'),
  )
  await new Promise<void>((resolve) => other.listen(port, '127.0.0.1', resolve))
  onTestFinished(() => void other.close())
  const { config } = settingsFor(upstream.port, { admin: { listen: `127.0.0.1:${port}` } })
  const found = (await examined(config)).about('sidecar', `admin 127.0.0.1:${port}`)
  expect(found).toMatchObject({
    state: 'failed',
    says: 'what answers is no Sallyport',
    remedy: 'give the admin listener an address of its own',
  })
})

test('a socket that this user may not open', async () => {
  const { config, directory } = await sidecarFor(upstream.port, (await doors()).settings)
  // Root may open everything, so that it is somebody else who looks; and then they can read the settings.
  const ids = process.geteuid?.() === 0 ? { uid: 65534, gid: 65534 } : {}
  chmodSync(join(directory, 'crm.sock'), 0)
  chmodSync(directory, 0o711)
  chmodSync(config, 0o644)
  const [node = '', ...flags] = CLI
  const { stdout } = spawnSync(node, [...flags, 'doctor', '--config', config, '--json'], { ...ids, encoding: 'utf8' })
  expect(reportOf(stdout, null).about('sidecar', 'reverse unix:crm.sock')).toMatchObject({
    state: 'failed',
    says: `the user ${ids.uid ?? process.geteuid?.()} may not open it`,
    remedy: expect.stringContaining('mode: "0660"'),
  })
})

test('variables that lead nowhere near are a warning with the line that sets them', async () => {
  const { listen, settings } = await doors()
  const { config, directory } = await sidecarFor(upstream.port, settings)
  const remedy = `export SALLYPORT_KEY="$(cat ${join(directory, 'checkout')})"; eval "$(sallyport env --config ${config})"`
  const unset = await examined(config)
  expect(unset.about('caller', 'https_proxy')).toMatchObject({ state: 'warning', remedy })
  expect(unset.about('caller', 'http_proxy').says).toContain('is not set: http:// requests')
  const elsewhere = await examined(config, {
    HTTPS_PROXY: 'http://u:hidden-word@10.0.0.1:3128',
    https_proxy: 'socks5://u:hidden-word@10.0.0.2:1080',
    http_proxy: `http://${listen}`,
  })
  expect(elsewhere.about('caller', 'HTTPS_PROXY')).toMatchObject({
    state: 'warning',
    says: 'leads to 10.0.0.1:3128, which is no forward listener of these settings',
    remedy,
  })
  expect(elsewhere.about('caller', 'https_proxy').says).toMatch(/^leads to 10\.0\.0\.2:1080, /)
  expect(elsewhere.text).not.toContain('hidden-word')
})

test('a caller with its key is known', async () => {
  const { listen, settings } = await doors()
  const { config } = await sidecarFor(upstream.port, settings)
  const proxy = `http://checkout:${CALLER_KEY}@${listen}`
  const variables = { HTTPS_PROXY: proxy, HTTP_PROXY: proxy, http_proxy: proxy, NODE_USE_ENV_PROXY: '1' }
  const report = await examined(config, variables)
  expect(report.about('caller', 'http_proxy, HTTP_PROXY, HTTPS_PROXY')).toMatchObject({
    state: 'ok',
    says: `the sidecar at ${listen} knows this caller, checkout`,
  })
  expect(report.code).toBe(0)
  expect(report.text).not.toContain(CALLER_KEY)
})

test.each([
  ['a wrong key', 'checkout:not-the-key@', 'the key in the variable is not that of checkout'],
  ['an empty key', 'checkout:@', 'the key in the variable is empty'],
  ['no key', '', 'the variable holds no key'],
  ['a name that nobody has', 'not-the-name:x@', 'the name in the variable is none of checkout'],
])(
  'with %s the sidecar does not know the caller, and the remedy takes the key from its file',
  async (_, proof, why) => {
    const { listen, settings } = await doors()
    const { config, directory } = await sidecarFor(upstream.port, settings)
    const proxy = `http://${proof}${listen}`
    const report = await examined(config, { HTTPS_PROXY: proxy, HTTP_PROXY: proxy })
    const remedy = `export SALLYPORT_KEY="$(cat ${join(directory, 'checkout')})"; eval "$(sallyport env --config ${config})"`
    expect(report.about('caller', 'HTTP_PROXY, HTTPS_PROXY')).toMatchObject({
      state: 'failed',
      says: `the sidecar does not know this caller: ${why}`,
      remedy,
    })
    expect(report.code).toBe(1)
    for (const word of ['not-the-key', 'not-the-name', CALLER_KEY]) expect(report.text).not.toContain(word)
  },
)

test('the line that is to lead a shell to the sidecar does', async () => {
  const { settings } = await doors()
  const { config } = await sidecarFor(upstream.port, settings)
  const port = settings.listeners[0]?.listen.split(':')[1]
  const unknown = await examined(config, { HTTPS_PROXY: `http://127.0.0.1:${port}` })
  const { remedy = '' } = unknown.about('caller', 'HTTPS_PROXY')
  const mended = await examinedAfter([remedy], config, bareEnvironment(emptyDirectory()))
  const told = mended.findings.filter(({ check, subject }) => check === 'caller' && !['node', 'java'].includes(subject))
  expect(told).toMatchObject([{ state: 'ok' }])
})

test('another server at that address is not taken for a sidecar', async () => {
  const { listen, settings } = await doors()
  const { config } = settingsFor(upstream.port, settings)
  const other = createServer(
    (socket) => void socket.on('error', () => undefined).end('HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n'),
  )
  await new Promise<void>((resolve) => other.listen(Number(listen.split(':')[1]), '127.0.0.1', resolve))
  onTestFinished(() => void other.close())
  const found = (await examined(config, { HTTPS_PROXY: `http://${listen}` })).about('caller', 'HTTPS_PROXY')
  expect(found).toMatchObject({ state: 'failed', says: `what answers at ${listen} is no Sallyport` })
})

test('a host that NO_PROXY keeps from the sidecar is named with the entry to take out', async () => {
  const { config } = settingsFor(upstream.port, (await doors()).settings)
  expect((await examined(config, { no_proxy: 'localhost,.crm.test' })).about('caller', 'NO_PROXY')).toMatchObject({
    state: 'warning',
    says: 'api.crm.test goes past the sidecar, because of ".crm.test"',
    remedy: 'take ".crm.test" out of NO_PROXY and no_proxy',
  })
})

test('clients that read no proxy variable are told so, until they are', async () => {
  const { config } = settingsFor(upstream.port, (await doors()).settings)
  const told = await examined(config)
  expect(told.about('caller', 'node')).toMatchObject({
    state: 'warning',
    says: expect.stringContaining('NODE_USE_ENV_PROXY'),
  })
  const { findings } = await examined(config, { NODE_USE_ENV_PROXY: '1', PATH: nodeOf(process.version) })
  expect(findings.filter(({ subject }) => subject === 'node')).toEqual([])
})

/** A PATH with a Node alone, which says that it is of this version. */
function nodeOf(version: string): string {
  const bin = emptyDirectory()
  writeFileSync(join(bin, 'node'), `#!/bin/sh\necho ${version}\n`, { mode: 0o755 })
  return bin
}

test.each([
  ['v20.20.2', 'is 20.20.2: it reads no proxy variable, whatever NODE_USE_ENV_PROXY is'],
  ['v24.4.1', 'is 24.4.1: its fetch reads the proxy variables, and its http and https modules do not before 24.5'],
])('a Node %s of the app is told to be too old, although NODE_USE_ENV_PROXY is set', async (version, says) => {
  const { config } = settingsFor(upstream.port, (await doors()).settings)
  const report = await examined(config, { NODE_USE_ENV_PROXY: '1', PATH: nodeOf(version) })
  expect(report.about('caller', 'node')).toMatchObject({
    state: 'warning',
    says: expect.stringContaining(says),
    remedy: expect.stringContaining('use a later Node'),
  })
})

test.each([
  ['20.19.0', 'none'],
  ['22.20.9', 'none'],
  ['22.21.0', 'all'],
  ['23.11.1', 'none'],
  ['24.0.0', 'fetch'],
  ['24.4.9', 'fetch'],
  ['24.5.0', 'all'],
  ['25.0.0', 'all'],
  ['26.10.0', 'all'],
])('Node %s obeys NODE_USE_ENV_PROXY: %s', (version, support) => {
  expect(proxySupportOf(version)).toBe(support)
})

test('Java that knows the proxy has no key for it, unless the door knows who asks', async () => {
  const java = emptyDirectory()
  writeFileSync(join(java, 'java'), '#!/bin/sh\nexit 1\n', { mode: 0o755 })
  const { listen, settings } = await doors()
  const env = { JAVA_TOOL_OPTIONS: '-Dhttps.proxyHost=h', PATH: java }
  const told = await examined(settingsFor(upstream.port, settings).config, env)
  expect(told.about('caller', 'java')).toMatchObject({
    state: 'warning',
    says: expect.stringContaining('Authenticator'),
  })
  const known = {
    ...settings,
    listeners: [{ kind: 'forward', listen, caller: 'anybody' }],
    callers: { anybody: { kind: 'socket', unsafeAnyLocalProcess: true } },
    grants: [{ caller: 'anybody', connection: 'crm' }],
  }
  const { findings } = await examined(settingsFor(upstream.port, known).config, env)
  expect(findings.filter(({ subject }) => subject === 'java')).toMatchObject([])
})

test.skipIf(!hasTool('curl'))('clients that rejected the certificate of a running sidecar are counted', async () => {
  const { listen, settings } = await doors()
  const { config } = await sidecarFor(upstream.port, { ...settings, ca: { directory: 'authority' } })
  const proxy = `http://checkout:${CALLER_KEY}@${listen}`
  expect(spawnSync('curl', ['-s', '--proxy', proxy, `https://api.crm.test:${upstream.port}/`]).status).toBe(60)
  // Without a PATH there is no client to try.
  expect((await examined(config, { PATH: emptyDirectory() })).about('trust', 'sidecar')).toMatchObject({
    state: 'warning',
    says: expect.stringMatching(/^certificates that clients rejected since its start: 1;/),
  })
})

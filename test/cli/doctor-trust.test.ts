import { chmodSync, chownSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { foundRoot } from '../../src/ca/root.ts'
import { createRoot } from '../../src/ca/root-file.ts'
import { bareEnvironment } from '../clients/environment.ts'
import { authority } from '../stories/crm.ts'
import { hasTool, type Tool } from '../support/debian.ts'
import { runCli } from '../support/sallyport.ts'
import { type RawUpstream, startUpstream } from '../support/upstream.ts'
import { emptyDirectory, examined, examinedAfter, type Report, settingsFor } from './doctoring.ts'

let upstream: RawUpstream

beforeAll(async () => {
  upstream = await startUpstream(undefined, await authority.issue(['api.crm.test']))
})

afterAll(() => upstream.close())

const AT_REST = { listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }], admin: undefined }
const INTERCEPTING = { ...AT_REST, ca: { directory: 'authority' } }
/** Several programs are tried at once. */
const TIME = { timeout: 240_000 }

/** Settings with an authority on the disk. */
async function withAuthority(connection: object = {}) {
  const place = settingsFor(upstream.port, INTERCEPTING, connection)
  const { stdout } = await runCli(['ca', 'path', '--config', place.config])
  return { ...place, bundle: stdout.trim() }
}

function trustIn({ findings }: Report) {
  return findings.filter(({ check }) => check === 'trust')
}

/** No client is found in it. */
function nobody() {
  return { PATH: emptyDirectory() }
}

test('where nothing is intercepted there is nothing to trust', async () => {
  expect(trustIn(await examined(settingsFor(upstream.port, AT_REST).config, nobody()))).toMatchObject([
    { subject: 'clients', state: 'skipped', says: 'no connection intercepts: there is no authority to trust' },
  ])
})

test('an ephemeral authority is trusted by the children of one process, and that is said', async () => {
  const { config } = settingsFor(upstream.port, { ...AT_REST, ca: 'ephemeral' })
  const [told, ...others] = trustIn(await examined(config, nobody()))
  expect(others).toEqual([])
  expect(told).toMatchObject({ state: 'skipped', says: expect.stringContaining('`sallyport run`') })
})

test.skipIf(process.geteuid?.() !== 0)('as root, the authority of the user of the service is no fault', async () => {
  const { config, directory } = await withAuthority()
  const place = join(directory, 'authority')
  for (const file of ['.', ...readdirSync(place)]) chownSync(join(place, file), 1234, 1234)
  const found = trustIn(await examined(config, nobody()))
  expect(found[0]).toMatchObject({
    subject: place,
    state: 'ok',
    says: expect.stringContaining('belongs to uid 1234 alone'),
  })
  expect(found.filter(({ says }) => says.startsWith('the authority'))).toHaveLength(2)
  expect(found.filter(({ state }) => state === 'failed')).toEqual([])
})

test('an authority that is not there yet is the finding, and none is made', async () => {
  const { config, directory } = settingsFor(upstream.port, INTERCEPTING)
  for (let time = 0; time < 2; time++) {
    expect(trustIn(await examined(config))).toMatchObject([
      {
        state: 'failed',
        says: `${join(directory, 'authority')} does not exist`,
        remedy: expect.stringContaining('`sallyport serve`'),
      },
    ])
  }
})

const needs: readonly Tool[] = ['curl', 'wget', 'git', 'python3', 'requests', 'pip', 'java', 'go']

test.skipIf(!needs.every(hasTool))(
  'clients that do not trust it are each named with the line that cures them',
  TIME,
  async () => {
    const { config, bundle } = await withAuthority()
    const home = bareEnvironment(emptyDirectory())
    const before = await examinedAfter([], config, home)
    const clients = ['curl', 'wget', 'git', 'python3 (ssl)', 'python3 (requests)', 'pip', 'node', 'npm', 'java', 'go']
    const failures = clients.map((client) => before.about('trust', client))
    expect(failures.map(({ state }) => state)).toEqual(clients.map(() => 'failed'))
    expect(before.code).toBe(clients.length)
    expect(before.about('trust', 'curl')).toMatchObject({
      says: 'the client rejected our certificate: unknown CA',
      remedy: `export CURL_CA_BUNDLE=${bundle}`,
    })
    // No alert comes from Node: that it hung up has to be noticed all the same, and soon.
    expect(before.about('trust', 'node').says).toContain('closed in the middle of the TLS handshake')
    const remedies = failures.map(({ remedy = '' }) => remedy)
    const after = await examinedAfter(remedies, config, home)
    expect(clients.map((client) => after.about('trust', client))).toMatchObject(
      clients.map(() => ({ state: 'ok', says: 'trusts the authority' })),
    )
    expect(after.code).toBe(0)
  },
)

test.skipIf(!hasTool('curl'))('each line cures its own client and no other', TIME, async () => {
  const { config, bundle } = await withAuthority()
  const report = await examined(config, { CURL_CA_BUNDLE: bundle, HOME: emptyDirectory(), NO_PROXY: '*' })
  expect(report.about('trust', 'curl').state).toBe('ok')
  expect(report.about('trust', 'node').state).toBe('failed')
})

test.skipIf(!hasTool('curl'))('a wildcard stands for a name of its own', TIME, async () => {
  const { config, bundle } = await withAuthority({ hosts: ['*.crm.test'] })
  const report = await examined(config, { CURL_CA_BUNDLE: bundle, HOME: emptyDirectory() })
  expect(report.about('trust', 'curl').state).toBe('ok')
})

test('a bundle without the authority, or none at all, is named with the line that writes it', async () => {
  const { config, bundle } = await withAuthority()
  const remedy = `sallyport ca path --config ${config}`
  expect((await examined(config, nobody())).about('trust', bundle)).toMatchObject({ state: 'ok' })
  writeFileSync(bundle, authority.certPem)
  expect((await examined(config, nobody())).about('trust', bundle)).toMatchObject({ state: 'failed', remedy })
  rmSync(bundle)
  const gone = await examined(config, nobody())
  expect(gone.about('trust', bundle)).toMatchObject({
    state: 'failed',
    says: 'the bundle cannot be read (ENOENT)',
    remedy,
  })
  expect(gone.code).toBe(1)
})

test('a file beside the bundle that is missing, or of another bundle, is named with the same line', async () => {
  const { config, directory } = await withAuthority()
  const [truststore, wgetrc] = [join(directory, 'authority/bundle.jks'), join(directory, 'authority/bundle.wgetrc')]
  rmSync(truststore)
  writeFileSync(wgetrc, 'ca_certificate = /elsewhere\n')
  const remedy = `sallyport ca path --config ${config}`
  const report = await examined(config, nobody())
  expect(report.about('trust', truststore)).toMatchObject({ state: 'failed', says: 'cannot be read', remedy })
  expect(report.about('trust', wgetrc)).toMatchObject({ state: 'failed', says: 'is not of this bundle', remedy })
  await runCli(['ca', 'path', '--config', config])
  expect((await examined(config, nobody())).code).toBe(0)
})

test('a bundle that only its user can read is said to be one, and is a warning where others are to use it', async () => {
  const alone = await withAuthority()
  const user = process.geteuid?.()
  const says = `the bundle holds the authority, and only the user ${user} can read it`
  expect((await examined(alone.config, nobody())).about('trust', alone.bundle)).toMatchObject({
    state: 'ok',
    says: `${says}: for others there is ca: { bundle: PATH }`,
  })
  const reporting = { kind: 'unix-peer', uid: 4242 }
  const settings = { ...INTERCEPTING, callers: { checkout: { kind: 'api-key', key: { file: 'checkout' } }, reporting } }
  const place = settingsFor(upstream.port, settings)
  const bundle = (await runCli(['ca', 'path', '--config', place.config])).stdout.trim()
  expect((await examined(place.config, nobody())).about('trust', bundle)).toMatchObject({
    state: 'warning',
    says,
    remedy: expect.stringContaining('bundle: PATH'),
  })
})

test.each([
  ['has ended', ['api.crm.test'], -400, 'failed', /^the authority ended on /],
  ['ends within two weeks', ['api.crm.test'], -390, 'warning', /^the authority ends on .*, in [67] days$/],
  ['is for other hosts', ['other.test'], 0, 'failed', /^the authority was made for other hosts/],
])('an authority that %s', async (_, hosts, days, state, says) => {
  const { config, directory } = await withAuthority()
  const file = join(directory, 'authority', 'authority.pem')
  rmSync(file)
  await createRoot(file, await foundRoot({ hosts, now: () => Date.now() + days * 86_400_000 }))
  const told = trustIn(await examined(config, nobody()))
  expect(told).toContainEqual(
    expect.objectContaining({
      state,
      says: expect.stringMatching(says),
      remedy: `sallyport ca rotate --config ${config}`,
    }),
  )
  const isUnfit = { subject: 'clients', state: 'skipped', says: 'the authority cannot be used as it is' }
  expect(told.some(({ subject }) => subject === 'clients')).toBe(state === 'failed')
  if (state === 'failed') expect(told).toContainEqual({ check: 'trust', ...isUnfit })
})

test('an authority whose key others could have read is not used', async () => {
  const { config, directory } = await withAuthority()
  chmodSync(join(directory, 'authority'), 0o755)
  expect(trustIn(await examined(config, nobody()))).toMatchObject([
    {
      state: 'failed',
      says: `${join(directory, 'authority')} is open to other users`,
      remedy: `chmod 700 ${join(directory, 'authority')}`,
    },
  ])
})

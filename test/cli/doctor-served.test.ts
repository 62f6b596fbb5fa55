import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { authority, CALLER_KEY } from '../stories/crm.ts'
import { freePort } from '../support/ports.ts'
import { runCli, startSallyport, writeSecret } from '../support/sallyport.ts'
import { type RawUpstream, startUpstream } from '../support/upstream.ts'
import { emptyDirectory, examined, settingsFor, sidecarFor } from './doctoring.ts'

let upstream: RawUpstream

beforeAll(async () => {
  upstream = await startUpstream(undefined, await authority.issue(['api.crm.test']))
})

afterAll(() => upstream.close())

/** Settings with a door that the doctor can find again, and an authority. */
async function intercepting(settings: object = {}) {
  const listen = `127.0.0.1:${await freePort()}`
  const listeners = [{ kind: 'forward', listen }]
  return { listen, settings: { listeners, admin: undefined, ca: { directory: 'authority' }, ...settings } }
}

/** Several programs are started, one after another. */
const TIME = { timeout: 240_000 }

/** No client is found in it. */
function nobody() {
  return { PATH: emptyDirectory() }
}

test('a sidecar that serves the authority on the disk is told to, and nothing goes upstream', async () => {
  const { listen, settings } = await intercepting()
  const { config, running } = await sidecarFor(upstream.port, settings)
  const report = await examined(config, nobody())
  expect(report.about('trust', `sidecar ${listen}`)).toMatchObject({
    state: 'ok',
    says: 'serves the authority that is on disk',
  })
  expect(upstream.heads()).toEqual([])
  expect(report.text).not.toContain(CALLER_KEY)
  const [entry] = await running.audit(1)
  expect(entry).toMatchObject({ method: 'CONNECT', caller: 'checkout', decision: 'permit', status: 200 })
  expect(entry).not.toHaveProperty('code')
})

test('after a rotation it serves another one until it is started again, and that is a failure', TIME, async () => {
  const { listen, settings } = await intercepting()
  const { config, directory, running, whole } = await sidecarFor(upstream.port, settings)
  await runCli(['ca', 'rotate', '--config', config])
  const report = await examined(config, nobody())
  const bundle = join(directory, 'authority/bundle.pem')
  expect(report.about('trust', `sidecar ${listen}`)).toMatchObject({
    state: 'failed',
    says: `the sidecar serves another authority than is on disk, and than ${bundle} holds: clients refuse it`,
    remedy: 'restart it, and it serves the one on disk',
  })
  const proxy = `http://checkout:${CALLER_KEY}@${listen}`
  const asked = ['-s', '--proxy', proxy, '--cacert', bundle, `https://api.crm.test:${upstream.port}/`]
  expect(spawnSync('curl', asked).status).toBe(60)
  await running.stop()
  const again = await startSallyport(directory, whole)
  onTestFinished(async () => void (await again.stop('SIGKILL')))
  expect((await examined(config, nobody())).about('trust', `sidecar ${listen}`).state).toBe('ok')
  expect(spawnSync('curl', asked).status).toBe(0)
})

test('a bundle that holds the old authority still is not blamed', async () => {
  const { listen, settings } = await intercepting()
  const { config, directory } = await sidecarFor(upstream.port, settings)
  const bundle = join(directory, 'authority/bundle.pem')
  const old = readFileSync(bundle)
  await runCli(['ca', 'rotate', '--config', config])
  writeFileSync(bundle, old)
  const report = await examined(config, nobody())
  expect(report.about('trust', `sidecar ${listen}`).says).toBe(
    'the sidecar serves another authority than is on disk: clients refuse it',
  )
  expect(report.about('trust', bundle)).toMatchObject({ state: 'failed' })
})

test.each<[string, object, NodeJS.ProcessEnv]>([
  ['a Unix socket', { listeners: [{ kind: 'forward', listen: 'unix:proxy.sock' }] }, {}],
  [
    'a door that knows its caller',
    {
      listeners: [{ kind: 'forward', listen: 'unix:proxy.sock', caller: 'anybody' }],
      callers: { anybody: { kind: 'socket' } },
      grants: [{ caller: 'anybody', connection: 'crm' }],
    },
    {},
  ],
  [
    'the second caller, whose key is in the environment',
    {
      listeners: [{ kind: 'forward', listen: 'unix:proxy.sock' }],
      callers: {
        checkout: { kind: 'api-key', key: { file: 'checkout' } },
        reporting: { kind: 'api-key', key: { env: 'REPORTING_KEY' } },
      },
      grants: [{ caller: 'reporting', connection: 'crm' }],
    },
    { REPORTING_KEY: 'a-key-of-the-reporting-app' },
  ],
])('it is asked by way of %s', async (_, more, env) => {
  const { settings } = await intercepting(more)
  const place = settingsFor(upstream.port, settings)
  const running = await startSallyport(place.directory, place.whole, { env })
  onTestFinished(async () => void (await running.stop('SIGKILL')))
  const report = await examined(place.config, { ...nobody(), ...env })
  expect(report.about('trust', 'sidecar unix:proxy.sock').state).toBe('ok')
})

test('one that runs on other settings says so by its answer', async () => {
  const { listen, settings } = await intercepting()
  const { config, directory } = await sidecarFor(upstream.port, { ...settings, grants: [] })
  const whole = JSON.parse(readFileSync(config, 'utf8'))
  const changed = { ...whole, grants: [{ caller: 'checkout', connection: 'crm' }] }
  const other = writeSecret(directory, 'changed.yaml', JSON.stringify(changed))
  expect((await examined(other, nobody())).about('trust', `sidecar ${listen}`)).toMatchObject({
    state: 'warning',
    says: expect.stringMatching(/CONNECT to api\.crm\.test as checkout was answered by 403 grant-missing$/),
    remedy: 'restart it, if its settings are others than these',
  })
})

test('where the settings tell no key, that is why it is not looked at', async () => {
  const digest = `sha256:${'0'.repeat(64)}`
  const { settings } = await intercepting({ callers: { checkout: { kind: 'api-key', digest } } })
  const { config } = await sidecarFor(upstream.port, settings)
  expect((await examined(config, nobody())).about('trust', 'sidecar')).toMatchObject({
    state: 'skipped',
    says: expect.stringContaining('no caller whose key the settings give'),
  })
})

test('of one that does not run there is nothing to tell', async () => {
  const { settings } = await intercepting()
  const { config } = settingsFor(upstream.port, settings)
  await runCli(['ca', 'path', '--config', config])
  const { findings } = await examined(config, nobody())
  expect(findings.filter(({ subject }) => subject.startsWith('sidecar '))).toEqual([])
})

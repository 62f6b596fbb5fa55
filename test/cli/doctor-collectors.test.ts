import { expect, onTestFinished, test } from 'vitest'
import { authority } from '../stories/crm.ts'
import { makeAuthority } from '../support/certificates.ts'
import { type Collector, startCollector } from '../support/collector.ts'
import { freePort } from '../support/ports.ts'
import { writeSecret } from '../support/sallyport.ts'
import { examined, settingsFor } from './doctoring.ts'

const KEY = 'collector-key-of-the-test'

async function started(names = ['collector.test']): Promise<Collector> {
  const collector = await startCollector(await authority.issue(names))
  onTestFinished(() => collector.close())
  return collector
}

/** What the doctor says of the collectors of such settings. */
async function examinedWith(port: number, changes: object = {}) {
  const terms = {
    headers: { 'x-api-key': { file: 'key' } },
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: ['127.0.0.0/8'],
    ...changes,
  }
  const { config, directory } = settingsFor(await freePort(), {
    listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }],
    admin: undefined,
    dns: { hosts: { 'collector.test': ['127.0.0.1'], 'api.crm.test': ['127.0.0.1'] } },
    traces: { endpoint: `https://collector.test:${port}/v1/traces`, ...terms },
    audit: { sinks: [{ kind: 'otlp', endpoint: `https://collector.test:${port}/v1/logs`, ...terms }] },
  })
  writeSecret(directory, 'key', KEY)
  writeSecret(directory, 'stranger.pem', (await makeAuthority()).certPem)
  const { text, findings } = await examined(config)
  expect(text).not.toContain(KEY)
  return findings.filter(({ check }) => check === 'collectors')
}

test('a collector that takes traces and records of the audit is asked with nothing in hand, and its key', async () => {
  const collector = await started()
  const told = await examinedWith(collector.port)
  expect(told).toMatchObject([
    { state: 'ok', subject: `traces collector.test:${collector.port}` },
    { state: 'ok', subject: `audit.sinks[0] collector.test:${collector.port}` },
  ])
  expect(collector.requests.map(({ path }) => path).sort()).toEqual(['/v1/logs', '/v1/traces'])
  expect(collector.requests.every(({ headers }) => headers['x-api-key'] === KEY)).toBe(true)
  expect([...collector.bodies].sort()).toEqual(['{"resourceLogs":[]}', '{"resourceSpans":[]}'])
})

test.each([
  [401, 'answered 401', 'correct endpoint or headers at traces'],
  [404, 'answered 404', 'correct endpoint or headers at traces'],
  [503, 'answered 503', 'try again'],
])('one that answers %i does not take anything', async (status, says, remedy) => {
  const collector = await started()
  collector.answer(() => ({ status }))
  const [told] = await examinedWith(collector.port)
  expect(told).toMatchObject({
    state: 'failed',
    says: expect.stringContaining(says),
    remedy: expect.stringContaining(remedy),
  })
})

test('one that is not there, one that is another, and one that may not be dialled, each with what to do', async () => {
  const [away] = await examinedWith(await freePort())
  expect(away).toMatchObject({ state: 'failed', remedy: expect.stringContaining('start collector.test') })
  const { port } = await started()
  const [stranger] = await examinedWith(port, { tls: { ca: { file: 'stranger.pem' } } })
  expect(stranger).toMatchObject({ state: 'failed', remedy: expect.stringContaining('traces.tls.ca') })
  const [near] = await examinedWith(port, { allowPrivate: [] })
  expect(near).toMatchObject({ state: 'failed', remedy: expect.stringContaining('add to traces: allowPrivate') })
})

test('one whose key cannot be opened is not asked', async () => {
  const { port, requests } = await started()
  const told = await examinedWith(port, { headers: { 'x-api-key': { file: 'missing' } } })
  expect(told.map(({ state }) => state)).toEqual(['skipped', 'skipped'])
  expect(requests).toEqual([])
})

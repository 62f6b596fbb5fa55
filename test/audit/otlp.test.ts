import { beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest'
import { otlp } from '../../src/audit/otlp.ts'
import { otlpSettings } from '../../src/audit/otlp-settings.ts'
import { verifyAudit } from '../../src/audit/verify.ts'
import { FileReference } from '../../src/forms/network.ts'
import { SecretReference } from '../../src/secrets/reference.ts'
import { entryOf, linesOf, makeChain, makeSinkTools } from '../support/audit.ts'
import { type Authority, makeAuthority } from '../support/certificates.ts'
import { type Collector, startCollector } from '../support/collector.ts'
import { freePort } from '../support/ports.ts'
import { References } from '../support/references.ts'
import { eventually } from '../support/sallyport.ts'

const API_KEY = 'collector-key'
let authority: Authority
let collector: Collector

beforeAll(async () => {
  authority = await makeAuthority()
})

beforeEach(async () => {
  collector = await startCollector({ port: await freePort(), ...(await authority.issue(['collector.test'])) })
  onTestFinished(() => collector.close())
})

/** A sink for the collector of the test, over TLS that is verified. */
function open(changes: Readonly<Record<string, unknown>> = {}) {
  const told = makeSinkTools({ references: new References(API_KEY, authority.certPem) })
  const settings = otlpSettings.parse({
    kind: 'otlp',
    endpoint: `https://collector.test:${collector.port}/v1/logs`,
    headers: { 'x-api-key': { file: 'key' } },
    tls: { ca: { file: 'ca' } },
    allowPrivate: ['127.0.0.0/8'],
    ...changes,
  })
  expect(settings.headers['x-api-key']).toBeInstanceOf(SecretReference)
  expect(settings.tls.ca).toBeInstanceOf(FileReference)
  const sink = otlp.build(settings, told.tools)
  onTestFinished(() => sink.close())
  return { sink, ...told }
}

function records(count: number) {
  return eventually(() => (collector.records.length >= count ? collector.records : undefined), `${count} records`)
}

test('sends the very lines, zipped, with what one searches them by', async () => {
  const { sink } = open({ resource: { 'deployment.environment.name': 'test' } })
  const chain = makeChain()
  const lines = linesOf(chain, 2)
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
  lines.push(
    chain.link({ kind: 'ask', body: entryOf({ code: 'grant-missing', status: 403, traceId, credential: undefined }) }),
  )
  for (const line of lines) sink.write(line)
  const [first, , last] = await records(3)
  expect(collector.records.map(({ body }) => body)).toEqual(lines.map(({ line }) => line))
  expect(collector.requests).toHaveLength(1)
  expect(collector.requests[0]).toMatchObject({
    path: '/v1/logs',
    headers: { 'content-type': 'application/json', 'content-encoding': 'gzip', 'x-api-key': API_KEY },
  })
  expect(first).toMatchObject({
    eventName: 'sallyport.ask',
    timeUnixNano: `${Date.parse('2027-01-02T03:04:05.678Z')}000000`,
    resource: {
      'service.name': 'sallyport',
      'service.instance.id': 'host-1',
      'deployment.environment.name': 'test',
    },
    attributes: {
      'http.request.method': 'GET',
      'server.address': 'api.crm.test',
      'url.path': '/v1/contacts/7',
      'http.response.status_code': 'int 200',
      'sallyport.caller': 'checkout',
      'sallyport.secret': 'file:secrets/crm@01234567',
      'sallyport.seq': 'int 1',
    },
  })
  expect(last).toMatchObject({ traceId, severityText: 'WARN', attributes: { 'error.type': 'grant-missing' } })
  expect(await verifyAudit(collector.records.map(({ body }) => body))).toMatchObject({ lines: 3 })
})

test.each([429, 502, 503, 504])('sends again after %i, not before Retry-After', async (status) => {
  const { sink, faults, dropped } = open()
  collector.answer(() => (collector.requests.length === 1 ? { status, headers: { 'retry-after': '1' } } : {}))
  for (const line of linesOf(makeChain(), 3)) sink.write(line)
  await records(3)
  const [one, two] = collector.requests
  expect((two?.at ?? 0) - (one?.at ?? 0)).toBeGreaterThanOrEqual(950)
  expect(collector.records).toHaveLength(3)
  expect(faults).toEqual([`collector.test:${collector.port} answered ${status}`])
  expect(dropped()).toBe(0)
})

test.each([400, 401, 413, 500])('does not send again after %i: that is final, counted and told', async (status) => {
  const { sink, faults, dropped } = open()
  collector.answer(() => ({ status }))
  for (const line of linesOf(makeChain(), 3)) sink.write(line)
  await eventually(() => (dropped() === 3 ? true : undefined), 'the count')
  collector.answer(() => ({}))
  for (const line of linesOf(makeChain(), 1)) sink.write(line)
  await records(1)
  expect(collector.requests).toHaveLength(2)
  expect(faults).toEqual([`3 entries were refused for good: collector.test:${collector.port} answered ${status}`])
})

test('what is refused of a batch is counted, and the batch not sent again', async () => {
  const { sink, faults, dropped } = open()
  collector.answer(() => ({ body: { partialSuccess: { rejectedLogRecords: '2', errorMessage: 'too\nold' } } }))
  for (const line of linesOf(makeChain(), 5)) sink.write(line)
  await eventually(() => (dropped() === 2 ? true : undefined), 'the count')
  expect(faults).toEqual(['2 entries were refused for good: too?old'])
  expect(collector.requests).toHaveLength(1)
})

test('a batch is as large as it may be, and no larger', async () => {
  const { sink } = open({ maxBatch: 10, compression: 'none' })
  for (const line of linesOf(makeChain(), 35)) sink.write(line)
  await records(35)
  expect(collector.requests).toHaveLength(4)
  expect(collector.requests[0]?.headers['content-encoding']).toBeUndefined()
})

test('one that does not answer in time, and one that goes away, get everything later', async () => {
  const { sink, faults } = open({ timeoutMs: 300 })
  const { port } = collector
  await collector.close()
  for (const line of linesOf(makeChain(), 20)) sink.write(line)
  await eventually(() => faults[0], 'a fault')
  expect(faults[0]).toContain('the collector cannot be reached')
  collector = await startCollector({ port, ...(await authority.issue(['collector.test'])) })
  await records(20)
  expect(new Set(collector.records.map(({ attributes }) => attributes['sallyport.seq'])).size).toBe(20)
})

test('one that cannot prove who it is gets nothing', async () => {
  const other = await makeAuthority()
  const fake = await startCollector(await other.issue(['collector.test']))
  onTestFinished(() => fake.close())
  const { sink, faults } = open({ endpoint: `https://collector.test:${fake.port}/v1/logs` })
  for (const line of linesOf(makeChain(), 1)) sink.write(line)
  await eventually(() => faults[0], 'a fault')
  expect(faults[0]).toContain('UNABLE_TO_VERIFY_LEAF_SIGNATURE')
  expect(fake.requests).toEqual([])
})

test.each([
  ['http://collector.test/v1/logs', 'use https://'],
  ['collector.test', 'use a URL such as'],
  ['https://key@collector.test/v1/logs', 'a key goes into "headers"'],
  ['https://Collector.test/v1/logs', 'use "https://collector.test/v1/logs"'],
])('the endpoint %s is refused: %s', (endpoint, message) => {
  const found = otlpSettings.safeParse({ kind: 'otlp', endpoint }).error?.issues.map((issue) => issue.message)
  expect(found).toEqual([expect.stringContaining(message)])
})

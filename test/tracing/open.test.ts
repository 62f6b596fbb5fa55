import { beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { FileReference } from '../../src/forms/network.ts'
import { openTraceCollector, openTracing } from '../../src/tracing/open.ts'
import { tracesSettings } from '../../src/tracing/settings.ts'
import { newSpanId, newTraceId, type Span } from '../../src/tracing/span.ts'
import { createDialer } from '../../src/wire/dial.ts'
import { createResolver } from '../../src/wire/resolve.ts'
import { systemClock } from '../../src/wire/system-clock.ts'
import { type Authority, makeAuthority } from '../support/certificates.ts'
import { type Collector, startCollector } from '../support/collector.ts'
import { throughProto } from '../support/otlp-proto.ts'
import { processorMs } from '../support/own-time.ts'
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

function settingsWith(changes: Readonly<Record<string, unknown>> = {}) {
  return tracesSettings.parse({
    endpoint: `https://collector.test:${collector.port}/v1/traces`,
    headers: { 'x-api-key': { file: 'key' } },
    tls: { ca: { file: 'ca' } },
    allowPrivate: ['127.0.0.0/8'],
    ...changes,
  })
}

/** Tracing to the collector of the test, over TLS that is verified. */
function open(changes: Readonly<Record<string, unknown>> = {}) {
  const settings = settingsWith(changes)
  expect(settings.tls.ca === undefined || settings.tls.ca instanceof FileReference).toBe(true)
  const faults: string[] = []
  const dropped: Record<string, number> = {}
  const opened = openTracing(settings, {
    clock: systemClock,
    references: new References(API_KEY, authority.certPem),
    dialer: createDialer({ resolver: createResolver({ hosts: { 'collector.test': ['127.0.0.1'] } }) }),
    instance: 'host-1',
    version: '1.2.3',
    onFault: (reason) => faults.push(reason),
    onDropped: (count, reason) => (dropped[reason] = (dropped[reason] ?? 0) + count),
  })
  onTestFinished(() => opened.close(0))
  const send = (count: number) => {
    for (let at = 0; at < count; at++) opened.tracing.export(() => span({ 'sallyport.id': `ask ${sent++}` }))
  }
  let sent = 0
  return { ...opened, faults, dropped, send }
}

function span(attributes: Span['attributes'] = {}, more: Partial<Span> = {}): Span {
  const id = { traceId: newTraceId(), spanId: newSpanId() }
  return { ...id, kind: 'server', name: 'GET', startMs: 1.0005, endMs: 2, attributes, isError: false, ...more }
}

function spans(count: number, from: Collector = collector) {
  return eventually(() => (from.spans.length >= count ? from.spans : undefined), `${count} spans`)
}

function idsOf(from: Collector = collector): (string | undefined)[] {
  return from.spans.map(({ attributes }) => attributes['sallyport.id'])
}

test('sends spans as the schema of OTLP has them, zipped, with what identifies us', async () => {
  const { tracing, faults } = open({ resource: { 'deployment.environment.name': 'test' } })
  const link = { traceId: newTraceId(), spanId: newSpanId() }
  const whole = span(
    { text: 'ä"\\\u2028', number: 200, absent: undefined, long: 'x'.repeat(5000) },
    { parent: { spanId: newSpanId(), isRemote: true }, state: 'foo=1', isError: true, links: [link], kind: 'client' },
  )
  tracing.export(() => whole)
  tracing.export(() => span({ one: 1 }))
  const [one, two] = await spans(2)
  expect(collector.requests).toMatchObject([
    {
      path: '/v1/traces',
      headers: { 'content-type': 'application/json', 'content-encoding': 'gzip', 'x-api-key': API_KEY },
    },
  ])
  for (const body of collector.bodies) expect(throughProto(body)).toEqual(JSON.parse(body))
  expect(one).toMatchObject({
    traceId: whole.traceId,
    spanId: whole.spanId,
    parentSpanId: whole.parent?.spanId,
    traceState: 'foo=1',
    flags: 0x301,
    kind: 3,
    startTimeUnixNano: '1001000',
    endTimeUnixNano: '2000000',
    status: { code: 2 },
    links: [link],
    attributes: { text: 'ä"\\\u2028', number: 'int 200', long: 'x'.repeat(1024) },
    resource: {
      'service.name': 'sallyport',
      'service.version': '1.2.3',
      'service.instance.id': 'host-1',
      'deployment.environment.name': 'test',
    },
  })
  expect(two).toMatchObject({ flags: 0x101, kind: 2 })
  expect(two).not.toHaveProperty('parentSpanId')
  expect(faults).toEqual([])
})

test('a span that cannot be made is told of, and ends nothing', async () => {
  const { tracing, faults } = open()
  tracing.export(() => {
    throw new Error('nobody foresaw it')
  })
  tracing.export(() => span({ one: 1 }))
  await spans(1)
  expect(faults).toEqual(['nobody foresaw it'])
})

test.each([429, 502, 503, 504])('sends again after %i, not before Retry-After', async (status) => {
  const { send, faults, dropped } = open()
  collector.answer(() => (collector.requests.length === 1 ? { status, headers: { 'retry-after': '1' } } : {}))
  send(3)
  await spans(3)
  const [one, two] = collector.requests
  expect((two?.at ?? 0) - (one?.at ?? 0)).toBeGreaterThanOrEqual(950)
  expect(faults).toEqual([`collector.test:${collector.port} answered ${status}`])
  expect(dropped).toEqual({})
})

test.each([
  ['5', 5_000],
  ['Fri, 31 Dec 9999 23:59:59 GMT', 3_600_000],
  ['9999999999', 3_600_000],
  ['Thu, 01 Jan 1970 00:00:00 GMT', 0],
  ['soon', undefined],
])('a collector that says Retry-After: %s is obeyed, for an hour at most', async (value, retryAfterMs) => {
  collector.answer(() => ({ status: 429, headers: { 'retry-after': value } }))
  const resolver = createResolver({ hosts: { 'collector.test': ['127.0.0.1'] } })
  const tools = { references: new References(API_KEY, authority.certPem), dialer: createDialer({ resolver }) }
  const sending = openTraceCollector(settingsWith(), tools)
  onTestFinished(() => sending.close())
  await expect(sending.send('{}', 1)).rejects.toMatchObject({ name: 'SendError', retryAfterMs })
})

test.each([400, 401, 413, 500])('does not send again after %i: that is final, and counted', async (status) => {
  const { send, faults, dropped } = open()
  collector.answer(() => ({ status }))
  send(3)
  await eventually(() => (dropped['rejected'] === 3 ? true : undefined), 'the count')
  collector.answer(() => ({}))
  send(1)
  await spans(1)
  expect(collector.requests).toHaveLength(2)
  expect(faults).toEqual([`3 spans were refused for good: collector.test:${collector.port} answered ${status}`])
})

test('what is refused of a batch is counted, and the batch not sent again', async () => {
  const { send, faults, dropped } = open()
  collector.answer(() => ({ body: { partialSuccess: { rejectedSpans: '2', errorMessage: 'too\nold' } } }))
  send(5)
  await eventually(() => (dropped['rejected'] === 2 ? true : undefined), 'the count')
  expect(faults).toEqual(['2 spans were refused for good: too?old'])
  expect(collector.requests).toHaveLength(1)
})

test('a batch is as large as it may be, and no larger, and each is sent once', async () => {
  const { send } = open({ maxBatch: 10, compression: 'none' })
  send(35)
  await spans(35)
  expect(collector.requests).toHaveLength(4)
  expect(collector.requests[0]?.headers['content-encoding']).toBeUndefined()
  expect(idsOf()).toEqual(Array.from({ length: 35 }, (_, at) => `ask ${at}`))
})

test('while a collector is away the oldest make room for the newest, and what is left comes through later', async () => {
  const { send, faults, dropped } = open({ maxQueue: 50, maxBatch: 20 })
  const { port } = collector
  await collector.close()
  send(1000)
  await eventually(() => faults[0], 'a fault')
  expect(faults[0]).toContain('the collector cannot be reached')
  send(1000)
  collector = await startCollector({ port, ...(await authority.issue(['collector.test'])) })
  onTestFinished(() => collector.close())
  await eventually(() => (collector.spans.length + (dropped['queue'] ?? 0) === 2000 ? true : undefined), 'all of them')
  expect(collector.spans.length).toBeLessThanOrEqual(50)
  expect(idsOf().at(-1)).toBe('ask 1999')
  expect(new Set(idsOf()).size).toBe(collector.spans.length)
  expect(faults).toHaveLength(1)
})

test('a collector that is slow gets one batch at a time, and nobody waits for it', async () => {
  const { send, dropped } = open({ maxQueue: 40, maxBatch: 20 })
  let release = () => undefined as void
  const released = new Promise<void>((done) => (release = done))
  collector.answer(async () => {
    await released
    return {}
  })
  send(20)
  await eventually(() => (collector.requests.length === 1 ? true : undefined), 'the first batch')
  expect(processorMs(() => send(10_000))).toBeLessThan(2_000)
  expect(collector.requests).toHaveLength(1)
  release()
  await spans(60)
  expect(dropped).toEqual({ queue: 9_960 })
  expect(idsOf().slice(0, 20)).toEqual(Array.from({ length: 20 }, (_, at) => `ask ${at}`))
})

describe('at the end', () => {
  test('what waits is sent', async () => {
    const { send, close, dropped } = open({ maxBatch: 10 })
    send(25)
    await close(5_000)
    expect(collector.spans).toHaveLength(25)
    expect(dropped).toEqual({})
  })

  test('what fails is sent again, as long as there is time', async () => {
    const { send, close, dropped } = open()
    collector.answer(() => (collector.requests.length < 3 ? { status: 503 } : {}))
    send(5)
    await close(10_000)
    expect(collector.spans).toHaveLength(5)
    expect(dropped).toEqual({})
  })

  test.each(['hangs', 'is away', 'wants us to wait'])(
    'a collector that %s has so much time and no more',
    async (how) => {
      const { send, close, dropped } = open({ maxBatch: 10 })
      if (how === 'is away') await collector.close()
      else if (how === 'hangs') collector.answer(() => new Promise(() => undefined))
      else collector.answer(() => ({ status: 429, headers: { 'retry-after': '3600' } }))
      send(25)
      const before = performance.now()
      await close(300)
      expect(performance.now() - before).toBeLessThan(8_000)
      expect(dropped).toEqual({ shutdown: 25 })
      send(1)
      expect(dropped).toEqual({ shutdown: 26 })
    },
  )
})

test('one that cannot prove who it is gets nothing', async () => {
  const other = await makeAuthority()
  const fake = await startCollector(await other.issue(['collector.test']))
  onTestFinished(() => fake.close())
  const { send, faults } = open({ endpoint: `https://collector.test:${fake.port}/v1/traces` })
  send(1)
  await eventually(() => faults[0], 'a fault')
  expect(faults[0]).toContain('UNABLE_TO_VERIFY_LEAF_SIGNATURE')
  expect(fake.requests).toEqual([])
})

test('plain HTTP to a loopback address needs no more words', async () => {
  const plain = await startCollector()
  onTestFinished(() => plain.close())
  const { send } = open({ endpoint: `http://127.0.0.1:${plain.port}/v1/traces`, allowPrivate: [], tls: {} })
  send(1)
  await spans(1, plain)
})

test('a private address elsewhere is dialled only where the settings say so', async () => {
  const { send, faults } = open({ allowPrivate: [] })
  send(1)
  await eventually(() => faults[0], 'a fault')
  expect(faults[0]).toContain('127.0.0.1 (loopback)')
  expect(collector.requests).toEqual([])
})

test.each([
  ['http://collector.test/v1/traces', 'use https://'],
  ['http://localhost:4318/v1/traces', 'use https://'],
  ['http://127.0.0.1.example.com/v1/traces', 'use https://'],
  ['http://2130706433/v1/traces', 'use "http://127.0.0.1/v1/traces"'],
  ['collector.test', 'use a URL such as "https://collector.example.com:4318/v1/traces"'],
  ['https://key@collector.test/v1/traces', 'a key goes into "headers"'],
  ['https://Collector.test/v1/traces', 'use "https://collector.test/v1/traces"'],
])('the endpoint %s is refused: %s', (endpoint, message) => {
  const found = tracesSettings.safeParse({ endpoint }).error?.issues.map((issue) => issue.message)
  expect(found).toEqual([expect.stringContaining(message)])
})

test.each(['http://127.8.9.1:4318/v1/traces', 'http://[::1]:4318/v1/traces', 'https://collector.test/v1/traces'])(
  'the endpoint %s is fine',
  (endpoint) => expect(tracesSettings.safeParse({ endpoint }).success).toBe(true),
)

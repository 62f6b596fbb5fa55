import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { throughProto } from '../support/otlp-proto.ts'
import { eventually } from '../support/sallyport.ts'
import { OK, type Step } from '../support/upstream.ts'
import {
  askTraced,
  CALLER,
  fieldsOf,
  headOf,
  nextPath,
  PARENT,
  spansOf,
  startTraced,
  type TracedSite,
} from './traced.ts'

let site: TracedSite
/** What the upstream says, by path: to the first request for it, to the second, and so on. */
const answers = new Map<string, (readonly Step[])[]>()

beforeAll(async () => {
  site = await startTraced({
    answerOf: (head) => answers.get(head.split(' ')[1] ?? '')?.shift() ?? OK,
    settings: { audit: { sinks: [{ kind: 'json-lines', path: 'audit.jsonl' }] } },
  })
})

afterAll(() => site?.close())

afterEach(() => {
  for (const body of site.collector.bodies) expect(throughProto(body)).toEqual(JSON.parse(body))
})

async function entryOf(path: string) {
  return eventually(
    async () => (await site.running.audit(0)).find((entry) => entry['path'] === path),
    `the entry of ${path}`,
  )
}

test('a trace goes through: below the span of the caller is ours, below ours a try, and below that the upstream', async () => {
  const path = nextPath()
  const { status } = await askTraced(site, 'said', `${path}?q=1`, `${PARENT}tracestate: foo=1\r\ntracestate: bar=2\r\n`)
  expect(status).toBe(200)
  const [server, client, ...more] = await spansOf(site, path)
  expect(more).toEqual([])
  expect(server).toMatchObject({
    traceId: CALLER.traceId,
    parentSpanId: CALLER.spanId,
    traceState: 'foo=1,bar=2',
    name: 'GET',
    kind: 2,
    flags: 0x301,
    attributes: {
      'http.request.method': 'GET',
      'url.scheme': 'http',
      'url.path': path,
      'server.address': 'said.crm.test',
      'network.peer.address': '127.0.0.1',
      'http.response.status_code': 'int 200',
      'sallyport.caller': 'checkout',
      'sallyport.connection': 'said',
      'sallyport.grant': 'grants[0]',
      'sallyport.decision': 'permit',
      'sallyport.ended': 'complete',
      'sallyport.bytes_out': 'int 2',
    },
    resource: { 'service.name': 'sallyport' },
  })
  expect(server).not.toHaveProperty('status')
  expect(client).toMatchObject({
    traceId: CALLER.traceId,
    parentSpanId: server?.spanId,
    traceState: 'foo=1,bar=2',
    name: 'GET',
    kind: 3,
    flags: 0x101,
    attributes: {
      'http.request.method': 'GET',
      'url.full': `https://said.crm.test:${site.upstream.port}${path}?REDACTED`,
      'server.address': 'said.crm.test',
      'server.port': `int ${site.upstream.port}`,
      'network.peer.address': '127.0.0.1',
      'network.protocol.version': '1.1',
      'http.response.status_code': 'int 200',
    },
  })
  const [from, to] = [server, client].map((span) => BigInt(span?.startTimeUnixNano ?? 0))
  expect(to).toBeGreaterThanOrEqual(from ?? 0n)
  expect(BigInt(server?.endTimeUnixNano ?? 0)).toBeGreaterThanOrEqual(BigInt(client?.endTimeUnixNano ?? 0))
  const head = headOf(site, path)
  expect(fieldsOf(head, 'traceparent')).toEqual([`00-${CALLER.traceId}-${client?.spanId}-01`])
  expect(fieldsOf(head, 'tracestate')).toEqual(['foo=1,bar=2'])
  const { id, credential, ...entry } = await entryOf(path)
  expect(entry).toMatchObject({ traceId: CALLER.traceId, spanId: server?.spanId })
  expect(server?.attributes).toMatchObject({
    'sallyport.id': id,
    'sallyport.credential': (credential as { fingerprint: string }).fingerprint,
  })
})

describe('what the upstream learns', () => {
  const baggage = 'baggage: user=alice\r\n'
  const ours = [expect.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)]

  test.each([
    { name: 'said', sent: '', expected: [] },
    { name: 'said', sent: PARENT, expected: ours },
    { name: 'told', sent: '', expected: ours },
    { name: 'told', sent: PARENT, expected: ours },
    { name: 'hidden', sent: '', expected: [] },
    { name: 'hidden', sent: PARENT, expected: [] },
  ])('at $name, where a caller sends "$sent"', async ({ name, sent, expected }) => {
    const path = nextPath()
    await askTraced(site, name, path, `${sent}${sent && 'tracestate: foo=1\r\n'}${baggage}`)
    const head = headOf(site, path)
    const parents = fieldsOf(head, 'traceparent')
    expect(parents).toEqual(expected)
    expect(fieldsOf(head, 'tracestate')).toEqual(expected.length > 0 && sent ? ['foo=1'] : [])
    expect(fieldsOf(head, 'baggage')).toEqual(name === 'hidden' ? [] : ['user=alice'])
    const [server, client] = await spansOf(site, path)
    expect(server?.traceId === CALLER.traceId).toBe(sent !== '')
    if (parents.length > 0) expect(parents).toEqual([`00-${server?.traceId}-${client?.spanId}-01`])
    expect(head).not.toContain(CALLER.spanId)
  })

  test.each([
    ['what cannot be read', 'traceparent: 00-FFF-1-01\r\n'],
    ['two of them', PARENT + PARENT],
    ['a state without a parent', ''],
  ])('%s begins a new trace, and nothing of it goes on', async (_what, sent) => {
    const path = nextPath()
    await askTraced(site, 'told', path, `${sent}tracestate: foo=1\r\n`)
    const [server] = await spansOf(site, path)
    expect(server?.traceId).not.toBe(CALLER.traceId)
    expect(server).not.toHaveProperty('parentSpanId')
    expect(server).not.toHaveProperty('traceState')
    expect(fieldsOf(headOf(site, path), 'tracestate')).toEqual([])
    expect(fieldsOf(headOf(site, path), 'traceparent')).toEqual([expect.stringContaining(server?.traceId ?? '')])
  })

  test('a caller that records nothing has nothing recorded, but an id that joins the audit to its trace', async () => {
    const [unseen, seen] = [nextPath(), nextPath()]
    await askTraced(site, 'said', unseen, PARENT.replace('-01\r', '-00\r'))
    await askTraced(site, 'said', seen, PARENT)
    await spansOf(site, seen)
    expect(site.collector.spans.filter(({ attributes }) => attributes['url.path'] === unseen)).toEqual([])
    expect(fieldsOf(headOf(site, unseen), 'traceparent')).toEqual([
      expect.stringMatching(new RegExp(`^00-${CALLER.traceId}-[0-9a-f]{16}-00$`)),
    ])
    const { traceId, spanId } = await entryOf(unseen)
    expect(traceId).toBe(CALLER.traceId)
    expect(spanId).toMatch(/^[0-9a-f]{16}$/)
    expect(spanId).not.toBe(CALLER.spanId)
  })

  test('a caller cannot have our fields taken out by naming them in Connection', async () => {
    const path = nextPath()
    await askTraced(site, 'told', path, `${PARENT}Connection: traceparent\r\n`)
    expect(fieldsOf(headOf(site, path), 'traceparent')).toHaveLength(1)
  })
})

describe('what went wrong', () => {
  test('a refusal is a span without a try, and no error of ours', async () => {
    const path = nextPath()
    expect((await askTraced(site, 'nobody', path)).status).toBe(403)
    const [server, ...tries] = await spansOf(site, path)
    expect(tries).toEqual([])
    expect(server?.attributes).toMatchObject({
      'http.response.status_code': 'int 403',
      'error.type': 'host-not-allowed',
      'sallyport.problem': 'host-not-allowed',
      'sallyport.decision': 'refuse',
    })
    expect(server).not.toHaveProperty('status')
  })

  test('an upstream that answers 404 has failed at its span alone, one that answers 500 at both', async () => {
    const [missing, broken] = [nextPath(), nextPath()]
    answers.set(missing, [[{ send: 'HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n' }]])
    answers.set(broken, [[{ send: 'HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n' }]])
    for (const path of [missing, broken]) await askTraced(site, 'said', path)
    const [ofMissing, toMissing] = await spansOf(site, missing)
    expect(ofMissing).not.toHaveProperty('status')
    expect(ofMissing?.attributes).not.toHaveProperty('error.type')
    expect(toMissing).toMatchObject({ status: { code: 2 }, attributes: { 'error.type': '404' } })
    const [ofBroken, toBroken] = await spansOf(site, broken)
    expect([ofBroken, toBroken]).toMatchObject([
      { status: { code: 2 }, attributes: { 'error.type': '500' } },
      { status: { code: 2 }, attributes: { 'error.type': '500' } },
    ])
  })

  test('an upstream that breaks off has failed at both, by our code', async () => {
    const path = nextPath()
    answers.set(path, [['reset']])
    expect((await askTraced(site, 'said', path, '', 'POST')).status).toBe(502)
    const spans = await spansOf(site, path)
    expect(spans).toHaveLength(2)
    const { code } = await entryOf(path)
    for (const span of spans) expect(span).toMatchObject({ status: { code: 2 }, attributes: { 'error.type': code } })
  })

  test('a method of the caller’s own is none that a span would be named after', async () => {
    const path = nextPath()
    await askTraced(site, 'said', path, '', 'PURGE')
    const spans = await spansOf(site, path)
    for (const span of spans)
      expect(span).toMatchObject({ name: 'HTTP', attributes: { 'http.request.method': '_OTHER' } })
    expect(JSON.stringify(spans)).not.toContain('PURGE')
  })
})

test('a replay after a 401 is a second try, and the mints that were waited for are linked, not parents', async () => {
  const path = nextPath()
  const no = 'HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer\r\nContent-Length: 0\r\n\r\n'
  answers.set(path, [[{ send: no }]])
  const { status } = await askTraced(site, 'minted', path, PARENT)
  expect(status).toBe(200)
  const [server, first, second, ...more] = await spansOf(site, path)
  expect(more).toEqual([])
  expect(first).toMatchObject({ status: { code: 2 }, attributes: { 'http.response.status_code': 'int 401' } })
  expect(first?.attributes).not.toHaveProperty('http.request.resend_count')
  expect(second?.attributes).toMatchObject({
    'http.response.status_code': 'int 200',
    'http.request.resend_count': 'int 1',
  })
  const sent = site.upstream
    .heads()
    .filter((head) => head.includes(path))
    .flatMap((head) => fieldsOf(head, 'traceparent'))
  expect(sent).toEqual([first, second].map((span) => `00-${CALLER.traceId}-${span?.spanId}-01`))
  const mints = site.collector.spans.filter(({ name }) => name === 'mint')
  expect(mints).toHaveLength(2)
  expect(server?.links).toEqual(mints.map(({ traceId, spanId }) => ({ traceId, spanId })))
  for (const mint of mints) {
    expect(mint).toMatchObject({
      kind: 1,
      attributes: { 'sallyport.connection': 'minted', 'sallyport.source': 'client-credentials' },
    })
    expect(mint).not.toHaveProperty('parentSpanId')
    expect(mint.traceId).not.toBe(CALLER.traceId)
  }
})

test('a mint that fails is a failed span, and so is the ask that waited for it', async () => {
  const path = nextPath()
  expect((await askTraced(site, 'failing', path)).status).toBe(502)
  const [server, ...tries] = await spansOf(site, path)
  expect(tries).toEqual([])
  expect(server).toMatchObject({ status: { code: 2 }, attributes: { 'error.type': 'credential-failed' } })
  expect(server).not.toHaveProperty('links')
  const mint = site.collector.spans.find(({ attributes }) => attributes['sallyport.connection'] === 'failing')
  expect(mint).toMatchObject({ name: 'mint', status: { code: 2 }, attributes: { 'error.type': 'credential-failed' } })
})

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { ask, openSession } from '../support/http2.ts'
import { sendRaw } from '../support/raw-client.ts'
import { eventually } from '../support/sallyport.ts'
import { openTunnel, secureTunnel, talk } from '../support/tunnel.ts'
import { startUpstream } from '../support/upstream.ts'
import { authority, doorOf, getThrough, PROOF, startCrmForTest } from './crm.ts'
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
let chat: WebSocketServer
let handshakes: (string | string[] | undefined)[]

beforeAll(async () => {
  const server = createServer(await authority.issue(['chat.crm.test']))
  chat = new WebSocketServer({ server })
  handshakes = []
  chat.on('connection', (socket, request) => {
    handshakes.push(request.headers['traceparent'])
    socket.on('message', (data) => socket.send(data))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number } // a TCP server has an address of this form
  const talking = { port, websocket: true, propagateTrace: true }
  const opaque = { credential: { kind: 'none' }, connect: 'tunnel' }
  site = await startTraced({ connections: { chat: talking, opaque } })
})

afterAll(async () => {
  await site?.close()
  for (const socket of chat?.clients ?? []) socket.terminate()
  chat?.options.server?.close()
})

function door(): string {
  return doorOf(site.running, 'forward')
}

function ca(): string {
  return readFileSync(join(site.running.directory, 'ca', 'ca.pem'), 'utf8')
}

function connectSpan(host: string) {
  return eventually(
    () => site.collector.spans.find((one) => one.name === 'CONNECT' && one.attributes['server.address'] === host),
    `the span of the CONNECT to ${host}`,
  )
}

test('what comes through an opened tunnel over HTTP/2 is traced request by request, and the CONNECT once', async () => {
  const target = `told.crm.test:${site.upstream.port}`
  const session = await openSession({ door: door(), target, proof: `${PROOF}${PARENT}`, ca: ca() })
  const [one, two] = [nextPath(), nextPath()]
  const parent = { traceparent: `00-${CALLER.traceId}-1111111111111111-01` }
  for (const path of [one, two]) {
    const head = { ':method': 'GET', ':path': path, ':scheme': 'https', ':authority': target, ...parent }
    expect((await ask(session, head)).status).toBe(200)
  }
  for (const path of [one, two]) {
    const [server, client] = await spansOf(site, path)
    expect(server).toMatchObject({
      traceId: CALLER.traceId,
      parentSpanId: '1111111111111111',
      attributes: { 'url.scheme': 'https', 'sallyport.door': expect.stringMatching(/^intercept /) },
    })
    expect(fieldsOf(headOf(site, path), 'traceparent')).toEqual([`00-${CALLER.traceId}-${client?.spanId}-01`])
  }
  expect(await connectSpan('told.crm.test')).toMatchObject({
    traceId: CALLER.traceId,
    parentSpanId: CALLER.spanId,
    kind: 2,
    attributes: { 'sallyport.tunnel': 'opened' },
  })
})

test('an unopened tunnel is one span with its bytes, and nothing is put into it', async () => {
  const target = `opaque.crm.test:${site.upstream.port}`
  const { socket, status } = await openTunnel(door(), target, { fields: `${PROOF}${PARENT}` })
  expect(status).toBe(200)
  const secured = await secureTunnel(socket, 'opaque.crm.test', { ca: authority.certPem })
  const path = nextPath()
  const inner = `traceparent: 00-${CALLER.traceId}-2222222222222222-01\r\n`
  await talk(secured, `GET ${path} HTTP/1.1\r\nHost: ${target}\r\n${inner}\r\n`, /ok$/)
  secured.destroy()
  const span = await connectSpan('opaque.crm.test')
  expect(span).toMatchObject({
    traceId: CALLER.traceId,
    parentSpanId: CALLER.spanId,
    kind: 2,
    attributes: { 'http.response.status_code': 'int 200', 'sallyport.tunnel': 'unopened' },
  })
  for (const way of ['in', 'out'])
    expect(Number(span.attributes[`sallyport.bytes_${way}`]?.slice(4))).toBeGreaterThan(500)
  expect(site.collector.spans.filter(({ parentSpanId }) => parentSpanId === span.spanId)).toEqual([])
  expect(fieldsOf(headOf(site, path), 'traceparent')).toEqual([inner.slice(13, -2)])
})

function chatThrough(path: string): WebSocket {
  const [name = '', value = ''] = PROOF.trim().split(': ')
  return new WebSocket(`ws://${door()}/`, {
    headers: { Host: 'chat.crm.test', [name]: value, traceparent: `00-${CALLER.traceId}-${CALLER.spanId}-01` },
    finishRequest(request) {
      request.path = `http://chat.crm.test${path}`
      request.end()
    },
  })
}

test('a WebSocket is one span, and one below it for the upstream, from the handshake to the end', async () => {
  const path = nextPath()
  const line = chatThrough(path)
  await once(line, 'open')
  line.send('hello')
  const [echo] = (await once(line, 'message')) as [Buffer]
  expect(echo.toString()).toBe('hello')
  line.close()
  const [server, client, ...more] = await spansOf(site, path)
  expect(more).toEqual([])
  expect(server).toMatchObject({
    name: 'GET',
    traceId: CALLER.traceId,
    parentSpanId: CALLER.spanId,
    attributes: { 'http.response.status_code': 'int 101' },
  })
  expect(Number(server?.attributes['sallyport.bytes_out']?.slice(4))).toBeGreaterThan(5)
  expect(client?.attributes).toMatchObject({
    'http.response.status_code': 'int 101',
    'server.address': 'chat.crm.test',
  })
  expect(handshakes).toEqual([`00-${CALLER.traceId}-${client?.spanId}-01`])
})

test('log records of the audit carry the ids of the same span', async () => {
  const sink = { kind: 'otlp', unsafeAllowPlaintextCollector: true, allowPrivate: ['127.0.0.0/8'] }
  const other = await startTraced({})
  onTestFinished(() => other.close())
  const { port } = other.collector
  const audited = await startTraced({
    settings: {
      audit: { sinks: [{ ...sink, endpoint: `http://127.0.0.1:${port}/v1/logs` }], instance: 'one' },
      traces: { endpoint: `http://127.0.0.1:${port}/v1/traces` },
    },
  })
  onTestFinished(() => audited.close())
  const path = nextPath()
  await askTraced(audited, 'said', path, PARENT)
  const [server] = await spansOf(other, path)
  const record = await eventually(
    () => other.collector.records.find(({ attributes }) => attributes['url.path'] === path),
    'the record',
  )
  expect(record).toMatchObject({ traceId: CALLER.traceId, spanId: server?.spanId })
  expect(JSON.parse(record.body)).toMatchObject({ traceId: CALLER.traceId, spanId: server?.spanId })
  expect(server?.resource['service.instance.id']).toBe('one')
})

const byText = (one: string, other: string) => one.localeCompare(other)

test('what has not been sent when it is told to end is sent then', async () => {
  const ending = await startTraced({})
  onTestFinished(() => ending.close())
  const paths = Array.from({ length: 20 }, nextPath)
  await Promise.all(paths.map((path) => askTraced(ending, 'said', path)))
  expect(await ending.running.stop()).toBe(0)
  const servers = ending.collector.spans.filter(({ kind }) => kind === 2)
  expect(servers.map(({ attributes }) => attributes['url.path'] ?? '').toSorted(byText)).toEqual(paths.toSorted(byText))
})

test('a collector that hangs delays the end by no more than the time to drain', async () => {
  const hanging = await startTraced({ traces: { timeoutMs: 60_000 }, settings: { drainTimeoutMs: 500 } })
  onTestFinished(() => hanging.close())
  hanging.collector.answer(() => new Promise(() => undefined))
  await askTraced(hanging, 'said', nextPath())
  const before = performance.now()
  expect(await hanging.running.stop()).toBe(0)
  // Of the sixty seconds that it waits for a collector otherwise.
  expect(performance.now() - before).toBeLessThan(15_000)
})

test('without traces what a caller says of its own passes untouched, and is in the audit', async () => {
  const upstream = await startUpstream(undefined, await authority.issue(['api.crm.test']))
  onTestFinished(() => upstream.close())
  const running = await startCrmForTest({ port: upstream.port })
  const fields = `${PARENT}tracestate: foo=1\r\nbaggage: a=1\r\n`
  await getThrough(running, '/one', /ok$/)
  const host = `http://api.crm.test/two HTTP/1.1\r\nHost: api.crm.test\r\n${PROOF}${fields}\r\n`
  await sendRaw(doorOf(running, 'forward'), `GET ${host}`, { until: /ok$/ })
  const [one = '', two = ''] = upstream.heads()
  expect(fieldsOf(one, 'traceparent')).toEqual([])
  expect(['traceparent', 'tracestate', 'baggage'].map((name) => fieldsOf(two, name))).toEqual([
    [PARENT.slice(13, -2)],
    ['foo=1'],
    ['a=1'],
  ])
  const entries = await running.audit(2)
  expect(entries[0]).not.toHaveProperty('traceId')
  expect(entries[1]).toMatchObject(CALLER)
})

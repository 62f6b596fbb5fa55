import { once } from 'node:events'
import { connect } from 'node:http2'
import { connect as connectTls } from 'node:tls'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { type Collector, type ReceivedSpan, startCollector } from '../support/collector.ts'
import { helloFor } from '../support/hello.ts'
import { ask } from '../support/http2.ts'
import { canMakeNetworks } from '../support/networks.ts'
import { eventually } from '../support/sallyport.ts'
import { talk } from '../support/tunnel.ts'
import { authority } from './crm.ts'
import { API } from './redirected.ts'
import { openRedirected, PORTS, type RedirectedHouse } from './redirected-house.ts'
import { CALLER, fieldsOf, PARENT } from './traced.ts'

const WHOLE = /\r\n\r\nok$/

describe.skipIf(!canMakeNetworks())('what comes through a transparent door is traced', () => {
  let house: RedirectedHouse
  let collector: Collector

  beforeAll(async () => {
    house = await openRedirected({
      connection: { propagateTrace: true },
      connections: { unread: { credential: { kind: 'none' }, connect: 'tunnel' } },
      settings: {
        traces: {
          endpoint: `http://${API.ipv4}:4318/v1/traces`,
          unsafeAllowPlaintextCollector: true,
          allowPrivate: ['203.0.113.0/24'],
        },
      },
      async world(at) {
        collector = await startCollector({ listen: at(4318) })
      },
    })
  }, 60_000)

  afterAll(async () => {
    await house?.close()
    await collector?.close()
  })

  /** The span of a request, and those below it: they are sent before it. */
  async function spansOf(path: string): Promise<readonly ReceivedSpan[]> {
    const server = await eventually(
      () => collector.spans.find(({ kind, attributes }) => kind === 2 && attributes['url.path'] === path),
      `the span of ${path}`,
    )
    return [server, ...collector.spans.filter(({ parentSpanId }) => parentSpanId === server.spanId)]
  }

  function connectSpans(host: string): readonly ReceivedSpan[] {
    return collector.spans.filter(({ name, attributes }) => name === 'CONNECT' && attributes['server.address'] === host)
  }

  function headOf(path: string): string {
    return house.upstream.heads().find((head) => head.includes(` ${path} `)) ?? ''
  }

  test('plain HTTP: the span is the caller’s child, and the upstream is told of ours', async () => {
    const request = `GET /plain HTTP/1.1\r\nHost: crm.test\r\n${PARENT}\r\n`
    expect((await talk(house.app(80), request, WHOLE)).text).toMatch(/^HTTP\/1\.1 200 /)
    const [server, client, ...more] = await spansOf('/plain')
    expect(more).toEqual([])
    expect(server).toMatchObject({
      traceId: CALLER.traceId,
      parentSpanId: CALLER.spanId,
      attributes: { 'sallyport.door': 'transparent 127.0.0.1:15002', 'http.response.status_code': 'int 200' },
    })
    expect(fieldsOf(headOf('/plain'), 'traceparent')).toEqual([`00-${CALLER.traceId}-${client?.spanId}-01`])
  })

  test('HTTP/2 within TLS: a span a request, and one of its own for the connection, which nobody is the parent of', async () => {
    const socket = house.secure('crm.test', { ALPNProtocols: ['h2'] })
    await once(socket, 'secureConnect')
    const session = connect('https://crm.test', { createConnection: () => socket })
    onTestFinished(() => session.destroy())
    const parent = { traceparent: `00-${CALLER.traceId}-1111111111111111-01` }
    for (const path of ['/one', '/two']) expect((await ask(session, { ':path': path, ...parent })).status).toBe(200)
    for (const path of ['/one', '/two']) {
      const [server, client] = await spansOf(path)
      expect(server).toMatchObject({
        traceId: CALLER.traceId,
        parentSpanId: '1111111111111111',
        attributes: { 'url.scheme': 'https', 'sallyport.door': 'intercept 127.0.0.1:15002' },
      })
      expect(fieldsOf(headOf(path), 'traceparent')).toEqual([`00-${CALLER.traceId}-${client?.spanId}-01`])
    }
    const span = await eventually(() => connectSpans('crm.test')[0], 'the span of the connection')
    // No head came with it that could have named a parent.
    expect(span).toMatchObject({ kind: 2, attributes: { 'sallyport.tunnel': 'opened' } })
    expect([undefined, '']).toContain(span.parentSpanId)
    expect(span.traceId).not.toBe(CALLER.traceId)
  })

  test('TLS that passes unread is one span with its bytes, and nothing is put into it', async () => {
    const socket = house.app(PORTS.crm)
    const secured = connectTls({ socket, servername: 'unread.test', ca: authority.certPem })
    await once(secured, 'secureConnect')
    await talk(secured, `GET /unread HTTP/1.1\r\nHost: unread.test\r\n${PARENT}\r\n`, WHOLE)
    secured.destroy()
    const span = await eventually(() => connectSpans('unread.test')[0], 'the span of the tunnel')
    expect(span).toMatchObject({ kind: 2, attributes: { 'sallyport.tunnel': 'unopened' } })
    for (const way of ['in', 'out'])
      expect(Number(span.attributes[`sallyport.bytes_${way}`]?.slice(4))).toBeGreaterThan(500)
    expect(fieldsOf(headOf('/unread'), 'traceparent')).toEqual([PARENT.slice('traceparent: '.length, -2)])
  })

  test('what is refused by an alert is a span that says why', async () => {
    const socket = house.app(PORTS.crm).resume()
    socket.write(await helloFor('elsewhere.test'))
    await once(socket, 'close')
    const span = await eventually(() => connectSpans('elsewhere.test')[0], 'the span of the refusal')
    expect(span.attributes).toMatchObject({ 'error.type': 'host-not-allowed' })
    expect(span.attributes).not.toHaveProperty('http.response.status_code')
  })
})

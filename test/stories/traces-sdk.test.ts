import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { type Context, ROOT_CONTEXT, SpanKind, trace } from '@opentelemetry/api'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import * as sdk from '@opentelemetry/sdk-trace'
import { expect, onTestFinished, test } from 'vitest'
import { authority } from './crm.ts'
import { askTraced, nextPath, spansOf, startTraced } from './traced.ts'

/** OpenTelemetry as an app and as an upstream have it: its own tracer, its own reading and writing of the fields. */
const tracer = new sdk.TracerProvider().getTracer('judge')
const propagator = new W3CTraceContextPropagator()

/** A span below that of a context, or a new trace. */
function spanBelow(context: Context, kind: SpanKind) {
  const span = tracer.startSpan('judge', { kind }, context)
  return { span, context: trace.setSpan(context, span) }
}

/** The header lines by which an SDK tells of its span. */
function linesOf(context: Context): string {
  const lines: string[] = []
  propagator.inject(context, lines, { set: (carrier, name, value) => carrier.push(`${name}: ${value}\r\n`) })
  return lines.join('')
}

interface Seen {
  readonly path: string
  readonly traceId: string
  readonly parentSpanId: string | undefined
  readonly isSampled: boolean
  readonly state: string | undefined
}

/** An upstream that has an SDK of its own. */
async function startInstrumented() {
  const seen: Seen[] = []
  const server = createServer(await authority.issue(['*.crm.test']), (request, response) => {
    const getter = {
      get: (_carrier: unknown, name: string) => request.headers[name],
      keys: () => Object.keys(request.headers),
    }
    const from = propagator.extract(ROOT_CONTEXT, {}, getter)
    const parent = trace.getSpanContext(from)
    const { span } = spanBelow(from, SpanKind.SERVER)
    seen.push({
      path: request.url ?? '',
      traceId: span.spanContext().traceId,
      parentSpanId: parent?.spanId,
      isSampled: (span.spanContext().traceFlags & 1) === 1,
      state: span.spanContext().traceState?.serialize(),
    })
    span.end()
    response.end('ok')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo // a TCP server has an address of this form
  return { port, seen }
}

test('a caller with an SDK, Sallyport, and an upstream with an SDK agree on one trace', async () => {
  const { port, seen } = await startInstrumented()
  const site = await startTraced({ connections: { judged: { port } } })
  onTestFinished(() => site.close())
  const path = nextPath()
  const caller = spanBelow(ROOT_CONTEXT, SpanKind.CLIENT)
  const its = caller.span.spanContext()
  expect((await askTraced(site, 'judged', path, `${linesOf(caller.context)}tracestate: foo=1,bar=2\r\n`)).status).toBe(
    200,
  )
  const [server, client] = await spansOf(site, path)
  expect(server).toMatchObject({ traceId: its.traceId, parentSpanId: its.spanId })
  expect(client).toMatchObject({ traceId: its.traceId, parentSpanId: server?.spanId })
  expect(seen).toEqual([
    { path, traceId: its.traceId, parentSpanId: client?.spanId, isSampled: true, state: 'foo=1,bar=2' },
  ])
})

test('what a caller’s SDK does not record is not recorded by us, nor by the upstream', async () => {
  const { port, seen } = await startInstrumented()
  const site = await startTraced({ connections: { judged: { port } } })
  onTestFinished(() => site.close())
  const caller = spanBelow(ROOT_CONTEXT, SpanKind.CLIENT)
  const { traceId } = caller.span.spanContext()
  const lines = linesOf(caller.context).replace(/-01\r/, '-00\r')
  await askTraced(site, 'judged', nextPath(), lines)
  await site.running.stop()
  expect(seen).toMatchObject([{ traceId, isSampled: false }])
  expect(site.collector.spans).toEqual([])
})

test('a caller without an SDK has its trace begun by us, and the upstream goes on with it', async () => {
  const { port, seen } = await startInstrumented()
  const site = await startTraced({ connections: { judged: { port, propagateTrace: true } } })
  onTestFinished(() => site.close())
  const path = nextPath()
  await askTraced(site, 'judged', path)
  const [server, client] = await spansOf(site, path)
  expect(seen).toMatchObject([
    { traceId: server?.traceId, parentSpanId: client?.spanId, isSampled: true, state: undefined },
  ])
})

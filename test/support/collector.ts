import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { gunzipSync } from 'node:zlib'

/** What a collector does with one request. */
export interface CollectorAnswer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}

/** One record as it arrived, its attributes by name. */
export interface LogRecord {
  readonly eventName: string
  readonly body: string
  readonly timeUnixNano: string
  readonly traceId: string | undefined
  readonly spanId: string | undefined
  readonly attributes: Readonly<Record<string, string>>
  readonly resource: Readonly<Record<string, string>>
}

/** One span as it arrived, its attributes by name. */
export interface ReceivedSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly traceState: string | undefined
  readonly flags: number
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly status: { readonly code: number } | undefined
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[] | undefined
  readonly attributes: Readonly<Record<string, string>>
  readonly resource: Readonly<Record<string, string>>
}

/** A collector of OTLP over HTTP in JSON: it decodes what it takes. */
export interface Collector {
  readonly port: number
  /** Of the requests that were answered with 200. */
  readonly records: readonly LogRecord[]
  readonly spans: readonly ReceivedSpan[]
  /** Of every request, whatever it was answered with: what it says, unpacked. */
  readonly bodies: readonly string[]
  readonly requests: readonly { readonly path: string; readonly headers: IncomingHttpHeaders; readonly at: number }[]
  answer(how: () => CollectorAnswer | Promise<CollectorAnswer>): void
  close(): Promise<void>
}

interface CollectorOptions {
  /** A certain one, for one that comes back. */
  readonly port?: number
  readonly key?: string
  readonly cert?: string
  /** Somewhere else than on this machine. */
  listen?(server: Server): void
}

/** Starts one; with key and cert it speaks TLS. */
export async function startCollector(options: CollectorOptions = {}): Promise<Collector> {
  const records: LogRecord[] = []
  const spans: ReceivedSpan[] = []
  const bodies: string[] = []
  const requests: { path: string; headers: IncomingHttpHeaders; at: number }[] = []
  let answer: () => CollectorAnswer | Promise<CollectorAnswer> = () => ({})
  const take = async (request: IncomingMessage, response: ServerResponse) => {
    requests.push({ path: request.url ?? '', headers: request.headers, at: performance.now() })
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const bytes = Buffer.concat(chunks)
    const text = request.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes
    bodies.push(text.toString())
    const { status = 200, headers = {}, body = {} } = await answer()
    if (status === 200) {
      const { resourceLogs = [], resourceSpans = [] } = JSON.parse(text.toString())
      records.push(...recordsIn({ resourceLogs }))
      spans.push(...spansIn({ resourceSpans }))
    }
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
  }
  const listener = (request: IncomingMessage, response: ServerResponse) => void take(request, response)
  const server = options.key === undefined ? createServer(listener) : createTlsServer(options, listener)
  if (options.listen) options.listen(server)
  else server.listen(options.port ?? 0, '127.0.0.1')
  if (!server.listening) await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port, // a TCP server has an address of this form
    records,
    spans,
    bodies,
    requests,
    answer: (how) => (answer = how),
    async close() {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
}

type Attribute = { key: string; value: { stringValue?: string; intValue?: string } }

function recordsIn(request: {
  resourceLogs: {
    resource: { attributes: Attribute[] }
    scopeLogs: {
      logRecords: (Omit<LogRecord, 'body' | 'attributes'> & {
        body: { stringValue: string }
        attributes: Attribute[]
      })[]
    }[]
  }[]
}): LogRecord[] {
  return request.resourceLogs.flatMap(({ resource, scopeLogs }) =>
    scopeLogs.flatMap(({ logRecords }) =>
      logRecords.map((record) => ({
        ...record,
        body: record.body.stringValue,
        attributes: named(record.attributes),
        resource: named(resource.attributes),
      })),
    ),
  )
}

type Received<T> = Omit<T, 'attributes' | 'resource'> & { attributes: Attribute[] }

function spansIn(request: {
  resourceSpans: {
    resource: { attributes: Attribute[] }
    scopeSpans: { spans: Received<ReceivedSpan>[] }[]
  }[]
}): ReceivedSpan[] {
  return request.resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        ...span,
        attributes: named(span.attributes),
        resource: named(resource.attributes),
      })),
    ),
  )
}

function named(attributes: readonly Attribute[]): Record<string, string> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? `int ${value.intValue}`]))
}

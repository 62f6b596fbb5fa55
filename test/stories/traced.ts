import { type Collector, type ReceivedSpan, startCollector } from '../support/collector.ts'
import { type QuirkIssuer, startQuirkIssuer, tokenAnswer } from '../support/quirk-issuer.ts'
import { sendRaw, WHOLE_ANSWER } from '../support/raw-client.ts'
import { eventually, type Running } from '../support/sallyport.ts'
import { OK, type RawUpstream, type Step, startUpstream } from '../support/upstream.ts'
import { authority, CREDENTIAL, connectionTo, doorOf, PROOF, startCrm, stopCrm } from './crm.ts'

/** What an SDK of OpenTelemetry says of a caller's own span. */
export const CALLER = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' } as const
/** The same as a header line. */
export const PARENT = `traceparent: 00-${CALLER.traceId}-${CALLER.spanId}-01\r\n`

/** A sidecar whose traces go to a collector, and what is around it. */
export interface TracedSite {
  readonly running: Running
  readonly collector: Collector
  readonly upstream: RawUpstream
  readonly issuer: QuirkIssuer
  close(): Promise<void>
}

/** What a story wants otherwise. */
interface Wishes {
  /** Of `traces`, besides the endpoint. */
  readonly traces?: object
  readonly settings?: object
  readonly connections?: Readonly<Record<string, object>>
  /** The connections besides: each at `NAME.crm.test`. */
  answerOf?(head: string): readonly Step[]
}

/** Hosts are those of the connections, `NAME.crm.test`; `said`, `told` and `hidden` differ in `propagateTrace` alone. */
export async function startTraced({
  traces = {},
  settings = {},
  connections = {},
  answerOf,
}: Wishes): Promise<TracedSite> {
  const collector = await startCollector()
  const upstream = await startUpstream((head) => answerOf?.(head) ?? OK, await authority.issue(['*.crm.test']))
  const issuer = await startQuirkIssuer(await authority.issue(['login.test']))
  issuer.answer(({ target }) =>
    target === '/failing'
      ? { status: 400, body: { error: 'invalid_client' } }
      : tokenAnswer({ access_token: `${MINTED}-${issuer.requests.length}` }),
  )
  const minted = (path: string) => ({
    kind: 'client-credentials',
    tokenEndpoint: `https://login.test:${issuer.port}${path}`,
    clientId: 'crm',
    clientSecret: { file: 'credential' },
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: ['127.0.0.0/8'],
  })
  const all: Record<string, object> = {
    said: {},
    told: { propagateTrace: true },
    hidden: { propagateTrace: false },
    minted: { credential: minted('/token'), propagateTrace: true },
    failing: { credential: minted('/failing') },
    ...connections,
  }
  const hosts = Object.keys(all).map((name) => `${name}.crm.test`)
  const running = await startCrm({
    port: upstream.port,
    settings: {
      ca: { directory: 'ca' },
      listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }],
      allowlist: hosts,
      connections: Object.fromEntries(
        Object.entries(all).map(([name, more]) => [name, connectionTo(`${name}.crm.test`, upstream.port, more)]),
      ),
      grants: Object.keys(all).map((connection) => ({ caller: 'checkout', connection })),
      dns: { hosts: Object.fromEntries([...hosts, 'login.test'].map((host) => [host, ['127.0.0.1']])) },
      traces: { endpoint: `http://127.0.0.1:${collector.port}/v1/traces`, ...traces },
      ...settings,
    },
  })
  return {
    running,
    collector,
    upstream,
    issuer,
    async close() {
      await stopCrm(running)
      await Promise.all([upstream.close(), issuer.stop(), collector.close()])
    },
  }
}

/** How every minted token begins. */
export const MINTED = `minted-${CREDENTIAL}`

let asked = 0

/** A path that no other ask of this file has. */
export function nextPath(): string {
  asked += 1
  return `/v1/things/${asked}`
}

const WHOLE = new RegExp(`${WHOLE_ANSWER.source}|content-length: 0\\r\\n[^]*\\r\\n\\r\\n$`, 'i')

/** Asks through the forward door; `fields`: further header lines. */
export function askTraced({ running }: TracedSite, name: string, path: string, fields = '', method = 'GET') {
  const host = `${name}.crm.test`
  const head = `${method} http://${host}${path} HTTP/1.1\r\nHost: ${host}\r\n${PROOF}${fields}\r\n`
  return sendRaw(doorOf(running, 'forward'), head, { until: WHOLE })
}

/** All spans of the ask for this path, its own first, once that one is there. */
export async function spansOf({ collector }: TracedSite, path: string): Promise<readonly ReceivedSpan[]> {
  const server = await eventually(
    () => collector.spans.find(({ kind, attributes }) => kind === 2 && attributes['url.path'] === path),
    `the span of ${path}`,
  )
  // They are sent before it.
  return [server, ...collector.spans.filter(({ parentSpanId }) => parentSpanId === server.spanId)]
}

/** The head that the upstream has got for this path, the latest of several. */
export function headOf({ upstream }: TracedSite, path: string): string {
  return upstream.heads().findLast((head) => head.split(' ')[1]?.split('?')[0] === path) ?? ''
}

/** Values of a field of a head. */
export function fieldsOf(head: string, name: string): string[] {
  return [...head.matchAll(new RegExp(`^${name}: (.*)\\r$`, 'gim'))].map(([, value = '']) => value)
}

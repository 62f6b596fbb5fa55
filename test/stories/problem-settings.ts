import type { DnsStub } from '../support/dns-stub.ts'
import { CLOSED_PORT } from '../support/ports.ts'
import type { QuirkIssuer } from '../support/quirk-issuer.ts'
import type { RawUpstream } from '../support/upstream.ts'
import { connectionTo } from './crm.ts'
import { awaySettings, ISSUER, jobSettings } from './wrong-proofs.ts'

interface Peers {
  readonly upstream: RawUpstream
  readonly issuer: QuirkIssuer
  readonly names: DnsStub
  /** File of the keys that sign tokens of `job`. */
  readonly jwks: string
  readonly marker: string
}

/** One connection for each way to fail; what is called after a code is the one that leads there. */
export async function problemSettings({ upstream, issuer, names, jwks, marker }: Peers): Promise<object> {
  const credential = (path: string) => ({
    kind: 'client-credentials',
    tokenEndpoint: `https://login.test:${issuer.port}${path}`,
    clientId: 'crm',
    clientSecret: { file: 'credential' },
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: ['127.0.0.0/8'],
  })
  const to = (host: string, more: object = {}) => connectionTo(host, upstream.port, more)
  const unread = { credential: { kind: 'none' }, connect: 'tunnel', tunnel: 'any' }
  const connections: Record<string, object> = {
    crm: to('api.crm.test', { limits: { responseTimeoutMs: 2_000, maxRequestBytes: 1000 } }),
    busy: to('busy.test', { limits: { maxConcurrent: 1 } }),
    based: to('based.test', { basePath: '/v1' }),
    ungranted: to('ungranted.test'),
    expired: to('expired.test'),
    refused: to('refused.test', { credential: credential('/refuses') }),
    failing: to('failing.test', { credential: credential('/fails') }),
    inside: to('inside.test', { allowPrivate: [] }),
    nowhere: to('nowhere.test'),
    disabled: to('disabled.test', { disabled: true }),
    closed: to('closed.test', { port: CLOSED_PORT }),
    impostor: to('impostor.test'),
    untunnelled: to('untunnelled.test', { connect: 'refuse' }),
    onbehalf: to('onbehalf.test', { credential: onBehalf(issuer.port) }),
    placed: to('placed.test', {
      inject: { kind: 'placeholder', placeholder: 'held-by-sallyport', in: { header: 'X-Key' } },
    }),
    unread: to('unread.test', { ...unread, limits: { idleTimeoutMs: 300 } }),
  }
  const hosts = Object.keys(connections).map((name) => (name === 'crm' ? 'api.crm.test' : `${name}.test`))
  const ungranted = new Set(['ungranted', 'expired', 'onbehalf'])
  const granted = Object.keys(connections).filter((name) => !ungranted.has(name))
  return {
    listeners: [
      { kind: 'forward', listen: '127.0.0.1:0' },
      { kind: 'reverse', listen: '127.0.0.1:0' },
      { kind: 'transparent', listen: '127.0.0.1:0', caller: 'redirected' },
    ],
    allowlist: [...hosts, 'unnamed.test'],
    callers: {
      checkout: { kind: 'api-key', key: { file: 'checkout' } },
      job: jobSettings(jwks),
      away: awaySettings(CLOSED_PORT),
      redirected: { kind: 'socket' },
    },
    ca: 'ephemeral',
    connections,
    grants: [
      ...granted.map((connection) => ({
        caller: 'checkout',
        connection,
        ...(connection !== 'unread' && { rules: [{ paths: [`/${marker}/**`] }, { paths: ['/v1/**'] }] }),
      })),
      { caller: 'job', connection: 'crm' },
      { caller: 'job', connection: 'onbehalf' },
      { caller: 'checkout', connection: 'expired', until: '2020-01-01T00:00:00Z' },
    ],
    dns: {
      servers: [names.address],
      hosts: Object.fromEntries(
        [...hosts, 'login.test'].filter((host) => host !== 'nowhere.test').map((host) => [host, ['127.0.0.1']]),
      ),
    },
  }
}

/** A caller is who a claim of its token says, and nobody without it. */
function onBehalf(port: number): object {
  return {
    kind: 'token-exchange',
    tokenEndpoint: `https://login.test:${port}/exchange`,
    subject: { from: 'caller' },
    clientIdFrom: { claim: 'role', map: { analyst: 'sp-1' }, issuer: ISSUER },
  }
}

import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { egressOf } from '../../src/egress/egress.ts'
import { settingsOf } from './settings.ts'

/**
 * Every setting that may name a server, and what becomes of it: `{ from, to }` is a piece of settings and what has to be
 * reached because of it; a text says why nobody dials it. A setting that is new, and looks as if it named a server, fails
 * the first test below until it is told of here.
 */
const ROWS: Readonly<Record<string, Dials | string>> = {
  'settings.admin.url': 'browsers come by it',
  'settings.allowlist.hosts': { from: connection('a.test', 'kind: none'), to: 'a.test:443' },
  'settings.dns.servers': 'resolvers are no TCP servers; see egress.resolvers',
  'settings.dns.hosts': 'says where a name is that is named elsewhere',
  'Listener.reverse.connection': 'a name of settings',
  'Caller.jwt.issuer': { from: caller('jwt', 'issuer: https://a.test, claims: { sub: b }'), to: 'a.test:443' },
  'Caller.jwt.jwks': 'see Caller.jwt.jwks.url',
  'Caller.jwt.jwks.url': {
    from: caller('jwt', 'issuer: anybody, claims: { sub: b }, jwks: { url: "https://a.test:8443/keys" }'),
    to: 'a.test:8443',
  },
  'Caller.kubernetes.issuer': { from: caller('kubernetes', 'issuer: https://a.test'), to: 'a.test:443' },
  'Caller.kubernetes.apiServer': {
    from: caller('kubernetes', 'apiServer: https://a.test:6443, token: { file: t }'),
    to: 'a.test:6443',
  },
  'Caller.kubernetes.jwks': 'see Caller.kubernetes.jwks.url',
  'Caller.kubernetes.jwks.url': {
    from: caller('kubernetes', 'issuer: anybody, jwks: { url: https://a.test/keys }'),
    to: 'a.test:443',
  },
  'Caller.mtls.uri': 'a name in certificates',
  'Connection.hosts': { from: connection('a.test', 'kind: none'), to: 'a.test:443' },
  'ClientAuth.private-key-jwt.audience': 'a claim',
  'Subject.connection': 'a name of settings',
  ...tokenEndpointOf('client-credentials', 'clientId: a, clientSecret: { file: s }'),
  ...tokenEndpointOf('refresh-token', 'clientId: a, clientSecret: { file: s }, refreshToken: { file: r }', '', LOGIN()),
  ...tokenEndpointOf('token-exchange', 'subject: { from: file, token: { file: t } }'),
  'Credential.token-exchange.clientIdFrom.issuer': 'compared with a claim',
  ...tokenEndpointOf('jwt-bearer', 'clientId: a, key: { file: k }'),
  'Credential.jwt-bearer.assertion.issuer': 'a claim',
  ...tokenEndpointOf(
    'authorization-code',
    'clientId: a, clientSecret: { file: s }',
    'authorizationEndpoint: https://b.test/authorize',
    LOGIN(),
  ),
  'Credential.authorization-code.authorizationEndpoint': 'browsers go there',
  'Credential.authorization-code.revocationEndpoint': {
    from: `${credential('kind: authorization-code, issuer: https://b.test, clientId: a, clientAuth: none, revocationEndpoint: https://a.test/r')}\n${LOGIN()}`,
    to: 'a.test:443',
  },
  'Credential.google-wif.tokenEndpoint': { from: credential(WIF()), to: 'sts.googleapis.com:443' },
  'Credential.google-wif.impersonationEndpoint': {
    from: credential(`${WIF()}, serviceAccount: a@b.iam.test`),
    to: 'iamcredentials.googleapis.com:443',
  },
  'Credential.entra.authority': {
    from: credential('kind: entra, tenant: t, clientId: a, scope: api://a/.default, clientSecret: { file: s }'),
    to: 'login.microsoftonline.com:443',
  },
  'Credential.signed-jwt.snowflake.account': 'a claim',
  'Credential.github-app.apiUrl': {
    from: credential('kind: github-app, appId: 1, installationId: 2, key: { file: k }'),
    to: 'api.github.com:443',
  },
  'Credential.http-mint.connection': 'a name of settings, and its hosts are reached as its own',
  'Grant.connection': 'a name of settings',
  'Store.postgres.url': 'a secret, read by the command: test/cli/export.test.ts',
  'settings.traces.endpoint': { from: 'traces: { endpoint: "https://a.test:4318/v1/traces" }', to: 'a.test:4318' },
  'Sink.otlp.endpoint': {
    from: 'audit: { sinks: [ { kind: otlp, endpoint: "https://a.test:4318/v1/logs" } ] }',
    to: 'a.test:4318',
  },
}

interface Dials {
  readonly from: string
  /** `host:port` */
  readonly to: string
}

test('every setting that may name a server is told of above', () => {
  expect([...candidates()].toSorted()).toEqual(Object.keys(ROWS).toSorted())
})

const dialling = Object.entries(ROWS).flatMap(([place, row]) => (typeof row === 'string' ? [] : [{ place, ...row }]))

test.each(dialling)('what $place names is reached', async ({ from, to }) => {
  const settings = await settingsOf(`listeners: [ { kind: forward, listen: 127.0.0.1:15001 } ]\n${from}`)
  const { needs } = egressOf(settings, { also: [] })
  expect(needs.map(({ host, port }) => `${host}:${port}`)).toContain(to)
})

test('operators prove themselves as callers do', async () => {
  const proof = '{ kind: jwt, audience: b, issuer: https://a.test, claims: { sub: c } }'
  const text = `listeners: [ { kind: forward, listen: 127.0.0.1:15001 } ]
admin: { listen: 127.0.0.1:15090, operators: { ann: { role: admin, proof: ${proof} } } }`
  const { needs } = egressOf(await settingsOf(text), { also: [] })
  expect(needs).toMatchObject([{ host: 'a.test', port: 443, why: ['issuer of operator ann'] }])
})

interface Node {
  readonly type?: string
  readonly const?: unknown
  readonly description?: string
  readonly properties?: Readonly<Record<string, Node>>
  readonly items?: Node
  readonly additionalProperties?: Node | boolean
  readonly [union: string]: unknown
}

/** By its name, or by its description. */
const NAMED = /(?:ur[il]|endpoint|issuer|servers?|authority|hosts?|address|collector|connection|proxy|gateway)$/i
const DESCRIBED = /\bURL\b|https?:\/\//

function candidates(): ReadonlySet<string> {
  const schema = JSON.parse(readFileSync('config/schema.json', 'utf8')) as Node & { $defs: Record<string, Node> } // generated
  const found = new Set<string>()
  visit({ properties: schema.properties ?? {} }, 'settings', found)
  for (const [name, node] of Object.entries(schema.$defs)) visit(node, name, found)
  return found
}

function visit(node: Node, place: string, found: Set<string>): void {
  for (const [name, property] of Object.entries(node.properties ?? {})) {
    const at = `${place}.${name}`
    const mayName = NAMED.test(name) || DESCRIBED.test(property.description ?? '')
    if (mayName && !['boolean', 'integer'].includes(property.type ?? '') && !Array.isArray(property['enum']))
      found.add(at)
    visit(property, at, found)
  }
  for (const union of ['oneOf', 'anyOf', 'allOf'])
    for (const one of (node[union] ?? []) as readonly Node[]) visit(one, placeOf(one, place), found)
  if (node.items) visit(node.items, place, found)
  if (typeof node.additionalProperties === 'object') visit(node.additionalProperties, `${place}.*`, found)
}

function placeOf({ properties }: Node, place: string): string {
  const kind = properties?.['kind']?.const
  return typeof kind === 'string' ? `${place}.${kind}` : place
}

function connection(host: string, source: string): string {
  return `allowlist: [ ${host} ]\nconnections: { a: { hosts: [ ${host} ], credential: { ${source} } } }`
}

function credential(source: string): string {
  return connection('upstream.test', source)
}

function caller(kind: string, rest: string): string {
  return `callers: { a: { kind: ${kind}, audience: b, ${rest} } }`
}

function tokenEndpointOf(kind: string, rest: string, beside = '', settings = ''): Record<string, Dials> {
  const source = (where: string) => `${credential(`kind: ${kind}, ${where}, ${rest}`)}\n${settings}`
  const more = beside === '' ? '' : `, ${beside}`
  return {
    [`Credential.${kind}.tokenEndpoint`]: {
      from: source(`tokenEndpoint: "https://a.test:8443/token"${more}`),
      to: 'a.test:8443',
    },
    [`Credential.${kind}.issuer`]: { from: source('issuer: https://a.test'), to: 'a.test:443' },
  }
}

function WIF(): string {
  return 'kind: google-wif, audience: //iam.googleapis.com/p, subject: { from: file, token: { file: t } }'
}

function LOGIN(): string {
  const ann = '{ role: admin, proof: { kind: unix-peer, uid: 0 } }'
  return `admin: { listen: "unix:a.sock", url: https://sally.test, operators: { ann: ${ann} } }\nstore: { kind: sqlite, path: s.db, key: { file: k } }`
}

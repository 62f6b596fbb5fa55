import { expect, test } from 'vitest'
import { type Grant, indexGrants } from '../../src/core/grants.ts'
import { HostTable } from '../../src/core/host-table.ts'
import { decidePassage, type Passage } from '../../src/core/passage.ts'
import type { Place, Policy } from '../../src/core/policy.ts'
import { compileRule } from '../../src/core/rule.ts'

const UNTIL = Date.UTC(2027, 5, 30)
const caller = { name: 'app', method: 'api-key' }

interface Wishes {
  readonly place?: Partial<Place>
  readonly grants?: readonly Partial<Grant>[]
  readonly allowlist?: readonly string[]
}

function policy({ place, grants = [{}], allowlist = ['api.test', 'bare.test'] }: Wishes = {}): Policy {
  const whole: Place = {
    name: 'crm',
    home: 'api.test',
    port: 443,
    basePath: '',
    isPlaintext: false,
    connect: 'intercept',
    ...place,
  }
  const all = grants.map((grant, at) => ({
    id: `g${at}`,
    holder: { caller: 'app' },
    connection: 'crm',
    rules: [],
    ...grant,
  }))
  return {
    allowlist: new HostTable(allowlist.map((host) => [host, host])),
    places: new HostTable([
      ['api.test', whole],
      ['unlisted.test', whole],
    ]),
    placesByName: new Map([['crm', whole]]),
    grants: indexGrants(all),
    disabled: new Set(),
  }
}

function ask(wishes: Wishes, { host = 'api.test', port = 443, at = 0 } = {}) {
  return decidePassage({ caller, host, port, at }, policy(wishes))
}

const INTERCEPT = { connect: 'intercept' } as const
const TUNNEL = { connect: 'tunnel' } as const
const UNSAID = { connect: 'unsaid' } as const
const PLAINTEXT = { isPlaintext: true, port: 8080 } as const

test.each<[string, Partial<Place>, number, Pick<Passage, 'tls' | 'plain'>]>([
  ['intercept at the port of the connection opens TLS', INTERCEPT, 443, { tls: 'open', plain: false }],
  ['intercept at port 80 reads plain HTTP', INTERCEPT, 80, { tls: 'refuse', plain: true }],
  ['intercept of a plaintext upstream takes both', { ...INTERCEPT, ...PLAINTEXT }, 8080, { tls: 'open', plain: true }],
  ['tunnel passes', TUNNEL, 443, { tls: 'pass', plain: false }],
  ['tunnel at port 80 reads plain HTTP', TUNNEL, 80, { tls: 'refuse', plain: true }],
  ['a tunnel whose own port is 80 passes', { ...TUNNEL, port: 80 }, 80, { tls: 'pass', plain: false }],
  ['without a choice port 80 reads plain HTTP', UNSAID, 80, { tls: 'refuse', plain: true }],
  ['without a choice a plaintext upstream is read', { ...UNSAID, ...PLAINTEXT }, 8080, { tls: 'refuse', plain: true }],
])('%s', (_name, place, port, ways) => {
  expect(ask({ place }, { port })).toMatchObject({ permitted: true, connection: 'crm', grant: 'g0', ...ways })
})

test.each<[string, Wishes, { host?: string; port?: number; at?: number }, string]>([
  ['a host off the allowlist', {}, { host: 'unlisted.test' }, 'host-not-allowed'],
  ['a host of no connection', {}, { host: 'bare.test' }, 'connection-missing'],
  ['D15: another port than that of the connection', {}, { port: 22 }, 'port-not-allowed'],
  ['D15: port 25', { place: TUNNEL }, { port: 25 }, 'port-not-allowed'],
  ['a connection that says refuse', { place: { connect: 'refuse' } }, {}, 'connect-refused'],
  ['plain HTTP to a connection that says refuse', { place: { connect: 'refuse' } }, { port: 80 }, 'connect-refused'],
  ['TLS where nothing can be intercepted', { place: UNSAID }, {}, 'connect-refused'],
  ['no grant', { grants: [] }, {}, 'grant-missing'],
  ['a grant that has ended', { grants: [{ until: UNTIL }] }, { at: UNTIL }, 'grant-expired'],
  [
    'a grant whose rules nobody could judge',
    { place: TUNNEL, grants: [{ rules: [compileRule({ methods: ['GET'] })] }] },
    {},
    'rule-not-matched',
  ],
])('refuses %s', (_name, wishes, question, code) => {
  expect(ask(wishes, question)).toMatchObject({ permitted: false, code })
})

test('rules do not matter to a tunnel that is opened: they are judged at each request in it', () => {
  expect(ask({ grants: [{ rules: [compileRule({ methods: ['GET'] })] }] })).toMatchObject({ permitted: true })
})

test('one grant without rules suffices for an unopened tunnel, and its end is the end of the tunnel', () => {
  const grants = [{ rules: [compileRule({ methods: ['GET'] })] }, { until: UNTIL }]
  expect(ask({ place: TUNNEL, grants })).toMatchObject({ permitted: true, grant: 'g1', until: UNTIL })
})

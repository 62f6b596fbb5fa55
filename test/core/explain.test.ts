import { expect, test } from 'vitest'
import { explain, type Wish } from '../../src/core/explain.ts'
import { indexGrants } from '../../src/core/grants.ts'
import { HostTable } from '../../src/core/host-table.ts'
import type { Place, Policy } from '../../src/core/policy.ts'
import { compileRule } from '../../src/core/rule.ts'

const caller = { name: 'app', method: 'api-key' }

function policy(place: Partial<Place>): Policy {
  const whole: Place = {
    name: 'crm',
    home: 'api.test',
    port: 8443,
    basePath: '',
    isPlaintext: false,
    connect: 'intercept',
    ...place,
  }
  const rules = whole.connect === 'tunnel' ? [] : [compileRule({ methods: ['GET'] })]
  return {
    allowlist: new HostTable([['api.test', 'api.test']]),
    places: new HostTable([['api.test', whole]]),
    placesByName: new Map([['crm', whole]]),
    grants: indexGrants([{ id: 'g', holder: { caller: 'app' }, connection: 'crm', rules }]),
    disabled: new Set(),
  }
}

function told(place: Partial<Place>, wish: Partial<Wish>) {
  const whole = { caller, scheme: 'https', host: 'api.test', port: undefined, path: '/', method: 'GET', at: 0, ...wish }
  const { decision, tunnel } = explain(whole as Wish /* every field is there */, policy(place))
  return [decision.permitted ? 'permit' : decision.code, tunnel]
}

test.each<[string, Partial<Place>, Partial<Wish>, string, string | undefined]>([
  ['http:// means the connection', {}, { scheme: 'http' }, 'permit', undefined],
  ['https:// asks for port 443, which is not the one of the connection', {}, {}, 'port-not-allowed', undefined],
  ['https:// with the very port opens a tunnel', {}, { port: 8443 }, 'permit', 'opened'],
  ['and what comes through it is judged by the rules', {}, { port: 8443, method: 'PUT' }, 'rule-not-matched', 'opened'],
  ['nothing can be opened without an authority', { connect: 'unsaid' }, { port: 8443 }, 'connect-refused', undefined],
  ['a tunnel that passes unread is said to', { connect: 'tunnel' }, { port: 8443 }, 'permit', 'unopened'],
  ['TLS to port 80 has nobody to answer it', {}, { port: 80 }, 'tunnel-unfit', undefined],
  ['where we answer TLS, the upstream may speak plain HTTP', { isPlaintext: true }, { port: 8443 }, 'permit', 'opened'],
  [
    'where nobody does, it has none',
    { isPlaintext: true, connect: 'unsaid' },
    { port: 8443 },
    'tunnel-unfit',
    undefined,
  ],
  ['CONNECT asks for the tunnel alone', {}, { method: 'CONNECT', port: 8443 }, 'permit', 'opened'],
  ['CONNECT of http:// is for port 80', {}, { method: 'CONNECT', scheme: 'http' }, 'permit', 'opened'],
])('%s', (_name, place, wish, outcome, tunnel) => {
  expect(told(place, wish)).toEqual([outcome, tunnel])
})

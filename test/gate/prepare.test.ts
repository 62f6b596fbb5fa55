import { expect, test } from 'vitest'
import type { Ask } from '../../src/core/ask.ts'
import { decide, isPermit, type Permit } from '../../src/core/decide.ts'
import { indexGrants } from '../../src/core/grants.ts'
import { HostTable } from '../../src/core/host-table.ts'
import { Secret } from '../../src/core/secret.ts'
import { prepare } from '../../src/gate/prepare.ts'
import type { Connection } from '../../src/gate/snapshot.ts'
import { buildInjection, injectionSettings } from '../../src/injections/registry.ts'
import type { Upstream } from '../../src/relay/upstream.ts'

const place = {
  name: 'crm',
  home: 'api.test',
  port: 443,
  basePath: '',
  isPlaintext: false,
  connect: 'unsaid',
} as const

function permitFor(method: string, keyIsProof?: true): Permit {
  const decision = decide(
    {
      caller: { name: 'app', method, keyIsProof },
      target: { kind: 'name', host: 'api.test', port: undefined },
      method: 'GET',
      path: '/v1',
      at: 0,
    },
    {
      allowlist: new HostTable([['api.test', 'api.test']]),
      places: new HostTable([['api.test', place]]),
      placesByName: new Map([['crm', place]]),
      grants: indexGrants([{ id: 'g', holder: { caller: 'app' }, connection: 'crm', rules: [] }]),
      disabled: new Set(),
    },
  )
  if (!isPermit(decision)) throw new Error(decision.reason)
  return decision
}

function connectionWith(inject: object | undefined): Connection {
  const injection = inject && buildInjection(injectionSettings.parse(inject))
  // The parts that prepare does not look at are left out.
  return {
    name: 'crm',
    injection,
    upstream: { authority: () => 'api.test', origin: () => 'https://api.test' } as unknown as Upstream,
  } as Connection
}

interface Given {
  readonly traced?: readonly string[] | undefined
  readonly propagateTrace?: boolean | undefined
  readonly fields?: readonly string[]
  readonly query?: string
  readonly inject?: object | 'nothing'
  readonly proof?: string
  readonly keysAre?: 'certain' | 'maybe'
}

function prepared({
  fields = [],
  query = '',
  inject = { kind: 'bearer' },
  proof = 'api-key',
  keysAre = 'certain',
  traced,
  propagateTrace,
}: Given) {
  const ask: Ask = {
    id: 'id',
    door: 'forward',
    method: 'GET',
    target: { kind: 'name', host: 'api.test', port: undefined },
    path: '/v1',
    query,
    fields,
    evidence: { keys: [], keysAre },
  }
  const connection = { ...connectionWith(inject === 'nothing' ? undefined : inject), propagateTrace }
  const credential = inject === 'nothing' ? undefined : { secret: new Secret('T'), version: 'token 1', generation: 1 }
  return prepare({
    permit: permitFor(proof, proof !== 'socket' && keysAre === 'maybe' ? true : undefined),
    ask,
    framing: { body: 'none' },
    connection,
    credential,
    pseudonym: 'sp-1',
    traced,
  })
}

test('Host first, Via, then the credential last', () => {
  expect(prepared({ fields: ['Host', 'elsewhere', 'Accept', '*/*'] }).fields).toEqual([
    'Host',
    'api.test',
    'Accept',
    '*/*',
    'Via',
    '1.1 sp-1',
    'Authorization',
    'Bearer T',
  ])
})

test.each([
  'Proxy-Authorization',
  'Proxy-Connection',
  'Keep-Alive',
  'TE',
  'Trailer',
  'Transfer-Encoding',
  'Upgrade',
  'HTTP2-Settings',
  'Authorization',
  'aUTHORIZATION',
  'Authorization_',
  'Content-Length',
  'Expect',
  'Max-Forwards',
  'X-Forwarded-For',
  'X-Forwarded-Access-Token',
  'x_forwarded_host',
  'Forwarded',
  'X-Real-IP',
  'X-HTTP-Method-Override',
  'X-Method-Override',
  'X-Original-URL',
  'X_Rewrite_URL',
  'X-Original-Method',
  'True-Client-IP',
  'X-Client-IP',
  'X-Host',
  'X-HTTP-Method',
])('%s of a caller stays here', (name) => {
  const told = prepared({ fields: [name, 'mine'] }).fields.join('\n')
  expect(told).not.toContain('mine')
})

test('fields that Connection names are gone, and cannot take the credential with them', () => {
  const { fields } = prepared({
    fields: [
      'Connection',
      'close, X-Foo,, Authorization',
      'X-Foo',
      '1',
      'connection',
      'x-bar',
      'X_Bar',
      '2',
      'X-Kept',
      '3',
    ],
  })
  expect(fields).toEqual(['Host', 'api.test', 'X-Kept', '3', 'Via', '1.1 sp-1', 'Authorization', 'Bearer T'])
})

test('names of Object.prototype are fields like any other', () => {
  const fields = ['__proto__', '1', 'constructor', '2', 'hasOwnProperty', '3']
  expect(prepared({ fields }).fields.slice(2, 8)).toEqual(fields)
})

test('the managed header goes in every spelling, and Authorization with it', () => {
  const { fields } = prepared({
    inject: { kind: 'header', name: 'X-Api-Key' },
    fields: ['x_api_key', 'mine', 'X-API-KEY', 'mine', 'Authorization', 'mine'],
  })
  expect(fields).toEqual(['Host', 'api.test', 'Via', '1.1 sp-1', 'X-Api-Key', 'T'])
})

test('the managed query parameter goes, and the credential comes last', () => {
  const { path } = prepared({ inject: { kind: 'query', name: 'key' }, query: '?key=mine&a=1&k%65y=mine' })
  expect(path).toBe('/v1?a=1&key=T')
})

test('a placeholder is replaced in its place alone, whatever else of that name there is', () => {
  const inject = { kind: 'placeholder', placeholder: 'held-by-sallyport', in: { header: 'X-Api-Key' } }
  const fields = ['x_api_key', 'mine', 'X-API-Key', 'Token held-by-sallyport']
  expect(prepared({ inject, fields }).fields).toEqual(['Host', 'api.test', 'Via', '1.1 sp-1', 'X-Api-Key', 'Token T'])
  expect(() => prepared({ inject, fields: [...fields, 'X-Other', 'held-by-sallyport'] })).toThrow(/another place/)
  expect(() => prepared({ inject, fields, query: '?k=held-by-sallyport' })).toThrow(/another place/)
  expect(() => prepared({ inject, fields: [...fields, 'x-api-key', 'held-by-sallyport'] })).toThrow(/more than once/)
  expect(() => prepared({ inject, fields: fields.slice(0, 2) })).toThrow(/not in its place/)
})

test('where nothing is injected, Authorization passes; but not where it was the proof', () => {
  const fields = ['Authorization', 'Bearer mine']
  const passes = (given: Given) => prepared({ fields, inject: 'nothing', ...given }).fields.includes('Bearer mine')
  expect(passes({ keysAre: 'certain' })).toBe(true)
  expect(passes({ keysAre: 'maybe', proof: 'socket' })).toBe(true)
  for (const proof of ['api-key', 'jwt', 'kubernetes']) expect(passes({ keysAre: 'maybe', proof })).toBe(false)
})

test('Via of the caller is continued', () => {
  expect(prepared({ fields: ['Via', '1.0 other'] }).fields).toContain('1.0 other, 1.1 sp-1')
})

test.each([
  { traced: undefined, propagateTrace: undefined, expected: ['p', 's', 'b'] },
  { traced: undefined, propagateTrace: true, expected: ['p', 's', 'b'] },
  { traced: undefined, propagateTrace: false, expected: [] },
  { traced: [], propagateTrace: undefined, expected: ['b'] },
  { traced: [], propagateTrace: false, expected: [] },
  { traced: ['traceparent', 'ours'], propagateTrace: true, expected: ['b', 'ours'] },
])('of a trace that came along, with ours $traced and propagateTrace $propagateTrace, $expected goes on', (given) => {
  const fields = ['TraceParent', 'p', 'TRACESTATE', 's', 'Baggage', 'b']
  const { fields: sent } = prepared({ fields, inject: 'nothing', ...given })
  const values = sent.filter((_, at) => at % 2 === 1).slice(1)
  expect(values.filter((value) => value !== '1.1 sp-1')).toEqual(given.expected)
})

test('a credential that is injected as a field of traces goes before ours', () => {
  const { fields } = prepared({ inject: { kind: 'header', name: 'traceparent' }, traced: ['traceparent', 'ours'] })
  expect(fields).toEqual(['Host', 'api.test', 'Via', '1.1 sp-1', 'traceparent', 'T'])
})

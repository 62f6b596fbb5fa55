import { describe, expect, test } from 'vitest'
import { decide, isPermit, type Permit } from '../../src/core/decide.ts'
import { type Grant, indexGrants } from '../../src/core/grants.ts'
import { HostTable } from '../../src/core/host-table.ts'
import type { Place, Policy, Question } from '../../src/core/policy.ts'
import { compileRule } from '../../src/core/rule.ts'

const UNTIL = Date.UTC(2027, 5, 30)
const app = { name: 'app', method: 'api-key' }
const crm: Place = { name: 'crm', home: 'crm.test', port: 443, basePath: '', isPlaintext: false, connect: 'unsaid' }
const erp: Place = { name: 'erp', home: 'erp.test', port: 8443, basePath: '/v1', isPlaintext: false, connect: 'unsaid' }
const wide: Place = { name: 'wide', home: undefined, port: 443, basePath: '', isPlaintext: false, connect: 'unsaid' }

const hosts: readonly (readonly [string, Place])[] = [
  ['crm.test', crm],
  ['erp.test', erp],
  ['closed.test', { ...crm, name: 'closed' }],
  ['*.wide.test', wide],
]

function grant(connection: string, terms: Partial<Grant> = {}): Grant {
  return { id: `${connection}-grant`, holder: { caller: 'app' }, connection, rules: [], ...terms }
}

function policy(...grants: readonly Grant[]): Policy {
  const places = [...hosts.map(([, place]) => place), { ...crm, name: 'closed', home: 'closed.test' }]
  return {
    allowlist: new HostTable(['crm.test', 'erp.test', 'free.test', '*.wide.test'].map((one) => [one, one])),
    places: new HostTable(hosts),
    placesByName: new Map(places.map((place) => [place.name, place])),
    grants: indexGrants(grants),
    disabled: new Set(),
  }
}

function byName(host: string, rest: Partial<Question> & { port?: number } = {}): Question {
  const { port, ...question } = rest
  return { caller: app, target: { kind: 'name', host, port }, method: 'GET', path: '/v1/a', at: UNTIL - 1, ...question }
}

function byConnection(name: string, rest: Partial<Question> = {}): Question {
  return { caller: app, target: { kind: 'connection', name }, method: 'GET', path: '/a', at: UNTIL - 1, ...rest }
}

function permitOf(question: Question, ...grants: readonly Grant[]): Permit {
  const decision = decide(question, policy(...grants))
  if (!isPermit(decision)) throw new Error(`no permit: ${decision.reason}`)
  return decision
}

describe('gate 1', () => {
  test.each([
    ['host-not-allowed', byName('evil.test'), undefined],
    ['host-not-allowed', byName('closed.test'), undefined],
    ['host-not-allowed', byName('127.0.0.1'), undefined],
    ['host-not-allowed', byName('wide.test'), undefined],
    ['connection-missing', byName('free.test'), undefined],
    ['port-not-allowed', byName('crm.test', { port: 22 }), 'crm'],
    ['port-not-allowed', byName('erp.test', { port: 443 }), 'erp'],
    ['path-not-allowed', byName('erp.test', { path: '/v2/a' }), 'erp'],
    ['path-not-allowed', byName('erp.test', { path: '/v1a' }), 'erp'],
    ['path-not-allowed', byName('erp.test', { path: '/v1/../v2' }), 'erp'],
    ['path-not-allowed', byName('erp.test', { path: '/v1/%2e%2e/v2' }), 'erp'],
    ['connection-unknown', byConnection('cmr'), undefined],
    ['connection-unknown', byConnection(''), undefined],
    ['connection-unknown', byConnection('constructor'), undefined],
    ['connection-unknown', byConnection('wide'), undefined],
    ['host-not-allowed', byConnection('closed'), 'closed'],
    ['path-not-allowed', byConnection('erp', { path: '/../admin' }), 'erp'],
  ])('refuses with %s, whatever is granted: %j', (code, question, connection) => {
    const everything = policy(...hosts.map(([, { name }]) => grant(name)))
    expect(decide(question, everything)).toMatchObject({ permitted: false, code })
    const decision = decide(question, everything)
    expect('connection' in decision ? decision.connection : undefined).toBe(connection)
  })

  test('takes the port of the connection, written or not', () => {
    expect(permitOf(byName('erp.test', { port: 8443 }), grant('erp')).port).toBe(8443)
    expect(permitOf(byName('erp.test'), grant('erp')).port).toBe(8443)
  })

  test('keeps the host that was asked for behind a wildcard', () => {
    expect(permitOf(byName('a.wide.test'), grant('wide'))).toMatchObject({ host: 'a.wide.test', connection: 'wide' })
  })

  test('dials the home of a connection, below its base path', () => {
    expect(permitOf(byConnection('erp'), grant('erp'))).toMatchObject({ host: 'erp.test', port: 8443, path: '/v1/a' })
  })

  test('another host of the connection is below its home, and no host of another', () => {
    const of = (subDomain: string) =>
      decide({ ...byConnection('crm'), target: { kind: 'connection', name: 'crm', subDomain } }, wider)
    const below = {
      ...policy(grant('crm')),
      places: new HostTable([...hosts, ['*.crm.test', crm], ['b.crm.test', erp]]),
    }
    const wider = { ...below, allowlist: new HostTable([['*.test', '*.test']]) }
    expect(of('a')).toMatchObject({ permitted: true, host: 'a.crm.test' })
    for (const one of ['b', '', 'a/', 'a.crm.test/', 'a b']) expect(of(one)).toMatchObject({ code: 'host-not-allowed' })
    expect(
      decide({ ...byConnection('crm'), target: { kind: 'connection', name: 'crm', subDomain: 'a' } }, below),
    ).toMatchObject({ code: 'host-not-allowed', reason: 'a.crm.test is not on the allowlist' })
  })

  test.each(['cmr', '', 'closed', 'erp'])(
    'a caller that only knows a name learns nothing of %j without a grant',
    (name) => {
      const question = byConnection(name, { target: { kind: 'connection', name, called: name }, path: '/../a' })
      expect(decide(question, policy(grant('crm')))).toMatchObject({ code: 'grant-missing' })
    },
  )

  test('nothing behind the base path is the base path itself', () => {
    expect(permitOf(byConnection('erp', { path: '' }), grant('erp')).path).toBe('/v1')
    expect(permitOf(byConnection('crm', { path: '' }), grant('crm')).path).toBe('/')
  })

  test('lets a path of several readings through where nothing depends on it', () => {
    expect(permitOf(byName('crm.test', { path: '/a/../b' }), grant('crm')).path).toBe('/a/../b')
  })
})

describe('gate 2', () => {
  const reads = [compileRule({ methods: ['GET'], paths: ['/v1/**'] })]

  test('refuses with grant-missing what nobody granted', () => {
    expect(decide(byName('crm.test'), policy())).toEqual({
      permitted: false,
      code: 'grant-missing',
      reason: 'app does not have USE CONNECTION on crm',
      connection: 'crm',
    })
  })

  test('does not take the grant of another connection, nor of another caller', () => {
    expect(decide(byName('crm.test'), policy(grant('erp')))).toMatchObject({ code: 'grant-missing' })
    const stranger = { name: 'stranger', method: 'api-key' }
    expect(decide(byName('crm.test', { caller: stranger }), policy(grant('crm')))).toMatchObject({
      code: 'grant-missing',
    })
  })

  test('refuses at the very millisecond a grant expires', () => {
    const ends = policy(grant('crm', { until: UNTIL }))
    expect(decide(byName('crm.test', { at: UNTIL - 1 }), ends).permitted).toBe(true)
    expect(decide(byName('crm.test', { at: UNTIL }), ends)).toEqual({
      permitted: false,
      code: 'grant-expired',
      reason: 'grant crm-grant expired at 2027-06-30T00:00:00.000Z',
      connection: 'crm',
      grant: 'crm-grant',
    })
    expect(decide(byName('crm.test', { at: UNTIL + 1 }), ends)).toMatchObject({ code: 'grant-expired' })
  })

  test.each([
    ['method', byName('crm.test', { method: 'POST' })],
    ['path', byName('crm.test', { path: '/v2' })],
    ['reading of the path', byName('crm.test', { path: '/v1/../v2' })],
  ])('refuses with rule-not-matched another %s', (_, question) => {
    expect(decide(question, policy(grant('crm', { rules: reads })))).toMatchObject({
      code: 'rule-not-matched',
      connection: 'crm',
      grant: 'crm-grant',
    })
  })

  test('judges the path that is sent, base path included', () => {
    expect(permitOf(byConnection('erp'), grant('erp', { rules: reads })).path).toBe('/v1/a')
    const bare = grant('erp', { rules: [compileRule({ paths: ['/a'] })] })
    expect(decide(byConnection('erp'), policy(bare))).toMatchObject({ code: 'rule-not-matched' })
  })

  test('takes the union of all grants, in any order', () => {
    const expired = grant('crm', { id: 'old', until: UNTIL - 10 })
    const narrow = grant('crm', { id: 'narrow', rules: reads })
    const writes = grant('crm', {
      id: 'writes',
      rules: [compileRule({ methods: ['PUT'] }), compileRule({ methods: ['POST'] })],
    })
    const post = byName('crm.test', { method: 'POST' })
    for (const grants of [
      [expired, narrow, writes],
      [writes, narrow, expired],
    ]) {
      expect(permitOf(post, ...grants)).toMatchObject({ grant: 'writes', rule: 1 })
      expect(permitOf(byName('crm.test'), ...grants)).toMatchObject({ grant: 'narrow', rule: 0 })
    }
  })

  test('tells of the grant that came closest', () => {
    const expired = grant('crm', { id: 'old', until: UNTIL - 10 })
    const narrow = grant('crm', { id: 'narrow', rules: reads })
    const post = byName('crm.test', { method: 'POST' })
    for (const grants of [
      [expired, narrow],
      [narrow, expired],
    ]) {
      expect(decide(post, policy(...grants))).toMatchObject({ code: 'rule-not-matched', grant: 'narrow' })
    }
  })

  test('says why it permits', () => {
    expect(permitOf(byName('crm.test'), grant('crm')).reason).toBe('grant crm-grant lets app use crm')
    const ruled = permitOf(byName('crm.test'), grant('crm', { rules: reads }))
    expect(ruled.reason).toBe('grant crm-grant, rule 0 lets app use crm')
  })
})

describe('a permit', () => {
  const permit = permitOf(byName('crm.test'), grant('crm'))

  test('is what decide made', () => {
    expect(isPermit(permit)).toBe(true)
  })

  test.each<[string, unknown]>([
    ['a refusal', decide(byName('evil.test'), policy())],
    ['a look-alike', Object.assign({}, permit, { reason: permit.reason })],
    ['an heir', Object.create(permit)],
    ['an object of its prototype', Object.assign(Object.create(Object.getPrototypeOf(permit)), permit)],
    ['a clone', structuredClone(permit)],
    ['a copy by JSON', JSON.parse(JSON.stringify(permit))],
    ['a proxy', new Proxy(permit, {})],
    ['nothing', undefined],
    ['null', null],
    ['a text', 'permit'],
  ])('is not %s', (_, forged) => {
    expect(isPermit(forged)).toBe(false)
  })
})

describe('groups', () => {
  const sales = { name: 'ann', method: 'jwt', groups: ['west-sales', 'everyone'] }
  const toGroup = (group: string, terms: Partial<Grant> = {}) =>
    grant('crm', { id: group, holder: { group }, ...terms })

  test('a grant to a group lets through every caller whose proof names it', () => {
    expect(permitOf(byName('crm.test', { caller: sales }), toGroup('west-sales')).grant).toBe('west-sales')
    const outsider = byName('crm.test', { caller: { ...sales, groups: ['east-sales'] } })
    expect(decide(outsider, policy(toGroup('west-sales')))).toMatchObject({ code: 'grant-missing' })
  })

  test('a group is no caller of that name, nor the other way round', () => {
    const named = byName('crm.test', { caller: { name: 'west-sales', method: 'api-key' } })
    expect(decide(named, policy(toGroup('west-sales')))).toMatchObject({ code: 'grant-missing' })
    const member = byName('crm.test', { caller: { ...sales, groups: ['app'] } })
    expect(decide(member, policy(grant('crm')))).toMatchObject({ code: 'grant-missing' })
  })

  test('any grant of the caller or of one of its groups is enough', () => {
    const narrow = toGroup('west-sales', { rules: [compileRule({ methods: ['GET'] })] })
    const wide = toGroup('everyone')
    const post = byName('crm.test', { caller: sales, method: 'POST' })
    expect(permitOf(post, narrow, wide).grant).toBe('everyone')
    expect(decide(post, policy(narrow))).toMatchObject({ code: 'rule-not-matched', grant: 'west-sales' })
  })
})

describe('a connection that is switched off', () => {
  test('refuses who would have been let through, and says no more to others', () => {
    const off = { ...policy(grant('crm')), disabled: new Set(['crm']) }
    expect(decide(byName('crm.test'), off)).toMatchObject({ code: 'connection-disabled', connection: 'crm' })
    const stranger = byName('crm.test', { caller: { name: 'stranger', method: 'api-key' } })
    expect(decide(stranger, off)).toMatchObject({ code: 'grant-missing' })
  })
})

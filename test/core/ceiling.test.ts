import { describe, expect, test } from 'vitest'
import { type Allowance, type Ceiling, ceilingText } from '../../src/core/ceiling.ts'
import { decide } from '../../src/core/decide.ts'
import { indexGrants } from '../../src/core/grants.ts'
import { HostTable } from '../../src/core/host-table.ts'
import { decidePassage } from '../../src/core/passage.ts'
import type { Place, Policy } from '../../src/core/policy.ts'
import { compileRule, type Rule } from '../../src/core/rule.ts'

const crm: Place = { name: 'crm', home: 'crm.test', port: 443, basePath: '', isPlaintext: false, connect: 'intercept' }

function policy(connect: Place['connect'] = 'intercept', disabled: readonly string[] = []): Policy {
  const place = { ...crm, connect }
  return {
    allowlist: new HostTable([['crm.test', 'crm.test']]),
    places: new HostTable([['crm.test', place]]),
    placesByName: new Map([['crm', place]]),
    grants: indexGrants([{ id: 'g', holder: { caller: 'app' }, connection: 'crm', rules: [] }]),
    disabled: new Set(disabled),
  }
}

function part(connections: readonly string[] | undefined, rule?: Rule): Allowance {
  return { connections: connections && new Set(connections), rule: rule && compileRule(rule) }
}

function ceiling(...parts: readonly Allowance[]): Ceiling {
  return { scopes: ['a', 'b'].slice(0, parts.length), parts }
}

function ask(scopes: Ceiling | undefined, method = 'GET', path = '/v1/a', name = 'app') {
  const caller = { name, method: 'jwt', scopes }
  return decide({ caller, target: { kind: 'name', host: 'crm.test', port: 443 }, method, path, at: 0 }, policy())
}

const READ = part(['crm'], { methods: ['GET'], paths: ['/v1/**'] })

describe('a request', () => {
  test.each([
    ['without a ceiling', undefined, true],
    ['of a scope for everything', ceiling(part(undefined)), true],
    ['of a scope for the connection', ceiling(part(['erp', 'crm'])), true],
    ['of a scope for its method and path', ceiling(READ), true],
    ['of one scope of two', ceiling(part(['erp']), READ), true],
    ['of no scope that means anything', ceiling(), false],
    ['of a scope for another connection', ceiling(part(['erp'])), false],
    ['of a scope for another method', ceiling(part(['crm'], { methods: ['POST'] })), false],
    ['of a scope for another path', ceiling(part(['crm'], { paths: ['/v2/**'] })), false],
    [
      'of one scope for the connection and another for the method',
      ceiling(part(['crm'], { methods: ['POST'] }), part(['erp'])),
      false,
    ],
  ])('%s: %#', (_what, scopes, isPermitted) => {
    const decision = ask(scopes)
    expect(decision.permitted).toBe(isPermitted)
    if (!decision.permitted)
      expect(decision).toMatchObject({ code: 'scope-insufficient', connection: 'crm', grant: 'g' })
  })

  test('of a path that has two readings is beyond a scope with paths', () => {
    expect(ask(ceiling(READ), 'GET', '/v1/../v2')).toMatchObject({ code: 'scope-insufficient' })
  })

  test('that nobody granted is refused for that, whatever its scope', () => {
    expect(ask(ceiling(part(undefined)), 'GET', '/', 'other')).toMatchObject({ code: 'grant-missing' })
    expect(ask(ceiling(), 'GET', '/', 'other')).toMatchObject({ code: 'grant-missing' })
  })

  test('beyond its scope does not learn that the connection is switched off', () => {
    const caller = { name: 'app', method: 'jwt', scopes: ceiling() }
    const question = { caller, target: { kind: 'connection', name: 'crm' }, method: 'GET', path: '/', at: 0 } as const
    expect(decide(question, policy('intercept', ['crm']))).toMatchObject({ code: 'scope-insufficient' })
  })
})

describe('a tunnel', () => {
  test.each([
    ['intercept', READ, true],
    ['intercept', part(['erp']), false],
    ['tunnel', part(['crm']), true],
    ['tunnel', READ, false],
    ['tunnel', part(undefined, { methods: ['GET'] }), false],
  ] as const)('of connect: %s by a scope: %#', (connect, scope, isPermitted) => {
    const caller = { name: 'app', method: 'jwt', scopes: ceiling(scope) }
    const decision = decidePassage({ caller, host: 'crm.test', port: 443, at: 0 }, policy(connect))
    expect(decision.permitted).toBe(isPermitted)
    if (!decision.permitted) expect(decision.code).toBe('scope-insufficient')
  })
})

test('a ceiling says which scopes it is made of', () => {
  expect(ceilingText(ceiling(READ, READ))).toBe('scope a b')
  expect(ceilingText(ceiling())).toBe('no scope that means anything here')
})

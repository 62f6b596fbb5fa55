import { describe, expect, test } from 'vitest'
import { compileClaims } from '../../src/callers/claims.ts'
import { groupsIn, namesIn } from '../../src/callers/claims-groups.ts'
import { compileTemplate, faultOfTemplate } from '../../src/callers/claims-template.ts'
import { compileScopes, scopesIn } from '../../src/callers/token-scopes.ts'
import { processorMs } from '../support/own-time.ts'

function claims(all: object): ReadonlyMap<string, unknown> {
  return new Map(Object.entries(all))
}

describe('rules about claims', () => {
  test.each([
    ['a text', 'main', 'main', true],
    ['another text', 'main', 'Main', false],
    ['nothing', 'main', undefined, false],
    ['null', 'main', null, false],
    ['a number', 7, 7, true],
    ['a number as text', 7, '7', false],
    ['a truth', true, true, true],
    ['a truth as text', true, 'true', false],
    ['one of a list', ['main', 'next'], 'next', true],
    ['none of a list', ['main', 'next'], 'other', false],
    ['a list with a member that fits', 'admin', ['user', 'admin'], true],
    ['a list without', 'admin', ['user'], false],
    ['a list in a list', 'admin', [['admin']], false],
    ['an object', 'admin', { admin: true }, false],
    ['a star', 'refs/heads/*', 'refs/heads/main', true],
    ['a star for many segments', 'repo:acme/*', 'repo:acme/a:ref:b', true],
    ['a star for nothing', 'refs/heads/*', 'refs/heads/', false],
    ['a star before', '*@corp.test', 'a@corp.test', true],
    ['nothing before', '*@corp.test', '@corp.test', false],
    ['another end', '*@corp.test', 'a@corp.test.evil.test', false],
    ['stars around', '*:env:*', 'a:env:b', true],
    ['stars that would overlap', 'ab*ba', 'aba', false],
    ['a part that comes twice', '*a*b', 'xaab', true],
    ['a star and a number', '*', 7, false],
    ['any text', '*', 'x', true],
    ['an empty text', '*', '', false],
    ['what a pattern would mean elsewhere', 'a.c', 'abc', false],
  ])('%s: %j of %j', (_what, wanted, claim, fits) => {
    expect(compileClaims({ it: wanted })(claims({ it: claim }))).toBe(fits ? undefined : 'it')
  })

  test('all have to fit, and the first that does not is named', () => {
    const misfit = compileClaims({ a: 'x', b: 'y' })
    expect(misfit(claims({ a: 'x', b: 'y', c: 'z' }))).toBeUndefined()
    expect(misfit(claims({ a: 'x', b: 'z' }))).toBe('b')
  })

  test('a claim of Object.prototype is none', () => {
    expect(compileClaims({ constructor: '*' })(claims({}))).toBe('constructor')
  })

  test('time is bounded, whatever a claim holds', () => {
    const misfit = compileClaims({ it: `${'a*'.repeat(50)}b` })
    const cost = processorMs(() => expect(misfit(claims({ it: 'a'.repeat(16_000) }))).toBe('it'))
    expect(cost).toBeLessThan(250)
  })
})

describe('a name made of claims', () => {
  const nameOf = (template: string, all: object) => compileTemplate(template).nameOf(claims(all))

  test.each([
    ['gh/{repository}', { repository: 'acme/shop' }, 'gh/acme/shop'],
    ['gh/{repository}', { repository: 'Acme/shop.js' }, 'gh/Acme/shop.js'],
    ['{org}/{sub}', { org: 'acme', sub: 'job@7' }, 'acme/job@7'],
    ['ci/{sub}-job', { sub: 'a' }, 'ci/a-job'],
  ])('%s of %j', (template, all, name) => {
    expect(nameOf(template, all)).toBe(name)
    expect(compileTemplate(template).mayMake(name)).toBe(true)
  })

  test.each([
    ['is missing', {}],
    ['is a number', { sub: 7 }],
    ['is a list', { sub: ['a'] }],
    ['is empty', { sub: '' }],
    ['has a blank', { sub: 'a b' }],
    ['has a line feed at its end', { sub: 'a\n' }],
    ['has a NUL', { sub: 'a\0' }],
    ['has a colon', { sub: 'group:west' }],
    ['has a letter beyond ASCII', { sub: 'аdmin' }],
    ['climbs', { sub: '../checkout' }],
    ['stands still', { sub: './a' }],
    ['has an empty segment', { sub: 'a//b' }],
    ['ends with a slash', { sub: 'a/' }],
    ['begins with a slash', { sub: '/a' }],
    ['ends with a dot', { sub: 'a.' }],
    ['is encoded', { sub: '%2e%2e' }],
    ['has a brace', { sub: '{sub}' }],
    ['is too long', { sub: 'a'.repeat(260) }],
  ])('is refused, not put right, where the claim %s', (_what, all) => {
    expect(nameOf('ci/{sub}', all)).toBeUndefined()
  })

  test('two claims with a slash in one of them could be two names', () => {
    expect(nameOf('{a}/{b}', { a: 'x/y', b: 'z' })).toBeUndefined()
    expect(nameOf('{a}/{b}', { a: 'x', b: 'y/z' })).toBeUndefined()
  })

  test.each([
    ['checkout', false],
    ['gh/', false],
    ['gh/a', true],
    ['gh/a/b', true],
    ['gl/a', false],
    ['ghx/a', false],
    ['gh/../a', false],
  ])('whether gh/{repository} may make %s: %s', (name, isPossible) => {
    expect(compileTemplate('gh/{repository}').mayMake(name)).toBe(isPossible)
  })

  test.each([
    ['checkout', /use a claim in it/],
    ['{sub}', /put a "\/" into it/],
    ['a b/{sub}', /use letters/],
    ['gh/{a}{b}', /between two claims/],
    ['gh/{a}-{b}', /between two claims/],
    ['gh/{', /use a claim in it/],
    ['gh/{}', /use a claim in it/],
    ['gh/{a}}', /use letters/],
  ])('%s is no template', (template, words) => {
    expect(faultOfTemplate(template)).toMatch(words)
  })
})

describe('groups', () => {
  const rules = { claim: 'groups', prefix: '' }

  test.each([
    [
      ['a', 'b', 'a'],
      ['a', 'b'],
    ],
    ['a', ['a']],
    [' a  b ', ['a', 'b']],
    [undefined, []],
    [null, []],
    [[], []],
    [['Vertrieb Süd'], ['Vertrieb Süd']],
  ])('%j are %j', (claim, groups) => {
    expect(groupsIn(claims({ groups: claim }), rules)).toEqual(groups)
  })

  test.each([
    ['a number', 7],
    ['an object', { a: true }],
    ['a list with a number', ['a', 7]],
    ['a list with an empty name', ['']],
    ['a name with a line feed', ['a\nb']],
    ['a name with a mark that turns text around', ['a\u202eb']],
    ['a long name', ['a'.repeat(257)]],
    ['too many', Array.from({ length: 201 }, (_, at) => `g${at}`)],
  ])('%s is refused as a whole', (_what, claim) => {
    expect(groupsIn(claims({ groups: claim }), rules)).toBeUndefined()
  })

  test('may be within other claims, and get a prefix', () => {
    const all = claims({ realm_access: { roles: ['admin'] } })
    expect(groupsIn(all, { claim: ['realm_access', 'roles'], prefix: 'kc:' })).toEqual(['kc:admin'])
    expect(groupsIn(all, { claim: ['realm_access', 'toString'], prefix: '' })).toEqual([])
    expect(groupsIn(all, { claim: ['realm_access', 'roles', '0'], prefix: '' })).toEqual(['admin'])
  })
})

describe('scopes', () => {
  test.each([
    [{ scope: 'a b' }, ['a', 'b']],
    [{ scp: ['a', 'b'] }, ['a', 'b']],
    [{ scp: 'a b' }, ['a', 'b']],
    [{ scope: 'a', scp: ['b'] }, ['a', 'b']],
    [{ scope: ['a'] }, ['a']],
    [{ scope: 7 }, []],
    [{ scope: { a: 1 } }, []],
    [{}, []],
  ])('of %j are %j', (all, scopes) => {
    expect(scopesIn(claims(all))).toEqual(scopes)
  })

  test('mean what the settings say, and nothing else', () => {
    const ceilingOf = compileScopes({ read: { methods: ['GET'] }, all: {} })
    expect(ceilingOf(['toString', 'x', 'read', 'read'])).toMatchObject({
      scopes: ['read'],
      parts: [{ connections: undefined }],
    })
    expect(ceilingOf(['all']).parts).toEqual([{ connections: undefined, rule: undefined }])
    expect(ceilingOf([]).parts).toEqual([])
  })

  test('no names are in what is neither text nor list', () => {
    expect([namesIn(7), namesIn({}), namesIn([7]), namesIn(true)]).toEqual([undefined, undefined, undefined, undefined])
  })
})

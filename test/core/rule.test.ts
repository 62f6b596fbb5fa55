import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compileRule, faultOfPath } from '../../src/core/rule.ts'
import { processorMs } from '../support/own-time.ts'

const matchesPath = (pattern: string, path: string) => compileRule({ paths: [pattern] }).matches('GET', path)

describe('a path pattern matches', () => {
  test.each([
    ['/', '/'],
    ['/v1/contacts', '/v1/contacts'],
    ['/v1/*', '/v1/a'],
    ['/v1/*', '/v1/...'],
    ['/v1/*/notes', '/v1/7/notes'],
    ['/v1/*.json', '/v1/a.b.json'],
    ['/v1/a*c*e', '/v1/abcde'],
    ['/v1/a*c*e', '/v1/ace'],
    ['/v1/**', '/v1'],
    ['/v1/**', '/v1/'],
    ['/v1/**', '/v1/a/b/c'],
    ['/**', '/'],
    ['/**', '/a/b'],
    ['/v1/**/notes', '/v1/notes'],
    ['/v1/**/notes', '/v1/a/notes/b/notes'],
    ['/v1/**/a/**/b', '/v1/x/a/a/y/b'],
    ['/v1/a%20b', '/v1/a%20b'],
  ])('%s the path %s', (pattern, path) => {
    expect(matchesPath(pattern, path)).toBe(true)
  })
})

describe('a path pattern does not match', () => {
  test.each([
    ['/v1/contacts', '/v1/contacts/'],
    ['/v1/contacts', '/v1/contact'],
    ['/v1/contacts', '/V1/contacts'],
    ['/v1/*', '/v1'],
    ['/v1/*', '/v1/'],
    ['/v1/*', '/v1/a/b'],
    ['/v1/*', '/v1/a/'],
    ['/v1/*.json', '/v1/.jsonx'],
    ['/v1/*/notes', '/v1//notes'],
    ['/v1/**', '/v1x'],
    ['/v1/**/notes', '/v1/a/notes/7'],
    ['/v1/a%20b', '/v1/a b'],
    ['/**', '*'],
  ])('%s the path %s', (pattern, path) => {
    expect(matchesPath(pattern, path)).toBe(false)
  })
})

describe('D19: a path with more than one reading matches no pattern', () => {
  test.each([
    '/v1/../admin',
    '/v1/%2e%2e/admin',
    '/v1/..;/admin',
    '//admin',
    '/v1%2f..%2fadmin',
    '\\v1\\..\\admin',
    '/v1/./a',
    '/v1//a',
    '/v1/..',
  ])('%s', (path) => {
    for (const pattern of ['/v1/*', '/v1/**', '/**', path]) expect(matchesPath(pattern, path)).toBe(false)
  })

  test('but passes a rule that says nothing about paths', () => {
    expect(compileRule({ methods: ['GET'] }).matches('GET', '/v1/../admin')).toBe(true)
    expect(compileRule({}).matches('GET', '/v1/../admin')).toBe(true)
  })
})

describe('D20: a method is compared exactly', () => {
  const rule = compileRule({ methods: ['GET'] })

  test.each(['HEAD', 'POST', 'QUERY', 'get', 'Get', 'GETX', 'GET ', ''])('GET is not %j', (method) => {
    expect(rule.matches(method, '/')).toBe(false)
  })

  test('GET is GET', () => {
    expect(rule.matches('GET', '/')).toBe(true)
  })
})

test('method and path must both fit, and of several each one path will do', () => {
  const rule = compileRule({ methods: ['GET', 'PUT'], paths: ['/a', '/b'] })
  expect(rule.matches('PUT', '/b')).toBe(true)
  expect(rule.matches('POST', '/b')).toBe(false)
  expect(rule.matches('PUT', '/c')).toBe(false)
})

describe('a path pattern is refused with the form to use', () => {
  test.each([
    ['v1', 'use "/v1": a path starts with "/"'],
    ['', 'use "/": a path starts with "/"'],
    ['/v1?a=b', 'use the path alone; a rule does not see the query'],
    ['/v1#a', 'use the path alone; a rule does not see the query'],
    ['/é', 'use the path as it is sent, percent-encoded'],
    ['/a b', 'use the path as it is sent, percent-encoded'],
    ['/v1/a**', 'use "**" as a whole segment, as in "/v1/**"'],
    ['/v1/***', 'use "**" as a whole segment, as in "/v1/**"'],
    ['/v1//a', 'use a path without "//", ".", ".." or an encoded slash; servers disagree about those'],
    ['/v1/../a', 'use a path without "//", ".", ".." or an encoded slash; servers disagree about those'],
    ['/v1%2Fa', 'use a path without "//", ".", ".." or an encoded slash; servers disagree about those'],
  ])('%j', (pattern, fault) => {
    expect(faultOfPath(pattern)).toBe(fault)
  })

  test.each(['/', '/v1/*', '/v1/**', '/v1/*.json', '/v1/a*b*', '/**'])('%s is right', (pattern) => {
    expect(faultOfPath(pattern)).toBeUndefined()
  })
})

describe('on any input', () => {
  const segment = fc
    .array(fc.constantFrom('a', 'b', '*', '.', '%2e', ';'), { maxLength: 6 })
    .map((parts) => parts.join(''))
  const path = fc
    .array(fc.oneof(segment, fc.constant('**')), { minLength: 1, maxLength: 6 })
    .map((parts) => `/${parts.join('/')}`)

  test('matching never throws, and agrees with a regular expression of the same meaning', () => {
    fc.assert(
      fc.property(
        path.filter((one) => faultOfPath(one) === undefined),
        path,
        (pattern, input) => {
          const isMatch = matchesPath(pattern, input)
          const isReadable = matchesPath('/**', input)
          expect(isMatch).toBe(isReadable && asExpression(pattern).test(input))
        },
      ),
      { numRuns: 2000 },
    )
  })

  test.each([
    ['stars in one segment', `/${'a*'.repeat(200)}b`, `/${'a'.repeat(8000)}`],
    ['stars for segments', `${'/**/a'.repeat(200)}/b`, '/a'.repeat(4000)],
    ['stars of both kinds', `${'/**/a*a*'.repeat(100)}/b`, '/aa'.repeat(2600)],
  ])('%s take no longer than pattern times path', (_, pattern, input) => {
    expect(processorMs(() => expect(matchesPath(pattern, input)).toBe(false))).toBeLessThan(1000)
  })

  /** The slow way: exponential, and easy to see through. */
  function asExpression(pattern: string): RegExp {
    const segments = pattern
      .slice(1)
      .split('/')
      .map((part) => {
        if (part === '**') return '(?:/[^/]*)*'
        const escaped = part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll('\\*', '[^/]*')
        return part.includes('*') ? `/(?=[^/])${escaped}` : `/${escaped}`
      })
    return new RegExp(`^${segments.join('')}$`)
  }
})

import { describe, expect, test } from 'vitest'
import { faultOfPattern, HostTable } from '../../src/core/host-table.ts'

const row = (pattern: string) => [pattern, pattern] as const

describe('D04, D08: a pattern covers whole labels', () => {
  const table = new HostTable(['api.test', '*.x.test'].map(row))

  test.each([
    ['api.test', 'api.test'],
    ['a.x.test', '*.x.test'],
    ['a.b.x.test', '*.x.test'],
  ])('%s is found by %s', (host, pattern) => {
    expect(table.find(host)).toBe(pattern)
  })

  test.each([
    'evilapi.test',
    'xapi.test',
    'api-test',
    'api.test.evil.test',
    'a.api.test',
    'x.test',
    'evilx.test',
    'a.x.test.evil.test',
    'test',
    'a.x',
    '',
  ])('%j is not found', (host) => {
    expect(table.find(host)).toBeUndefined()
  })
})

describe('the most specific pattern wins, whatever their order', () => {
  const patterns = ['*.test', '*.a.test', '*.b.a.test', 'x.b.a.test']

  test.each([
    ['x.b.a.test', 'x.b.a.test'],
    ['y.b.a.test', '*.b.a.test'],
    ['y.x.b.a.test', '*.b.a.test'],
    ['b.a.test', '*.a.test'],
    ['a.test', '*.test'],
  ])('%s is %s', (host, pattern) => {
    expect(new HostTable(patterns.map(row)).find(host)).toBe(pattern)
    expect(new HostTable(patterns.toReversed().map(row)).find(host)).toBe(pattern)
  })
})

test('an empty table has no host', () => {
  expect(new HostTable([]).find('api.test')).toBeUndefined()
})

test('names of JavaScript objects are names like any other', () => {
  expect(new HostTable([]).find('constructor')).toBeUndefined()
  expect(new HostTable([row('*.constructor.test')]).find('__proto__.constructor.test')).toBe('*.constructor.test')
})

describe('K02: a pattern is refused with the form to use', () => {
  test.each([
    ['*', 'use an exact name or "*.suffix"; a star elsewhere has no meaning'],
    ['**.x.test', 'use an exact name or "*.suffix"; a star elsewhere has no meaning'],
    ['api.*.x', 'use an exact name or "*.suffix"; a star elsewhere has no meaning'],
    ['*x.y', 'use an exact name or "*.suffix"; a star elsewhere has no meaning'],
    ['*.*.x.test', 'use an exact name or "*.suffix"; a star elsewhere has no meaning'],
    ['*.com', '"*.com" covers names of strangers; name at least two labels, as in "*.example.com"'],
    ['*.', 'use a wildcard such as "*.files.example.net"'],
    ['é.test', 'use the punycode form of the name, as in "xn--bcher-kva.example"'],
    ['*.é.test', 'use the punycode form of the name, as in "xn--bcher-kva.example"'],
    ['api.test/', 'use the bare host name, as in "api.example.com"; a path goes into basePath or a rule'],
    ['api.test:443', 'use the bare host name, as in "api.example.com"; a port goes into port'],
    ['https://api.test', 'use the bare host name, as in "api.example.com", without a scheme'],
    ['10.0.0.1', 'use a host name; an address is never on the allowlist (dns.hosts can pin a name to one)'],
    ['*.0.0.1', 'use a host name; an address is never on the allowlist (dns.hosts can pin a name to one)'],
    ['[::1]', 'use a host name; an address is never on the allowlist (dns.hosts can pin a name to one)'],
    ['::1', 'use a host name; an address is never on the allowlist (dns.hosts can pin a name to one)'],
    ['API.test', 'use "api.test": lower case, no trailing dot'],
    ['*.API.test.', 'use "*.api.test": lower case, no trailing dot'],
    ['xn--a.test', 'use a name such as "api.example.com"'],
    ['a b', 'use a name such as "api.example.com"'],
    ['', 'use a name such as "api.example.com"'],
  ])('%j', (pattern, fault) => {
    expect(faultOfPattern(pattern)).toBe(fault)
  })

  test.each([
    'api.test',
    'localhost',
    'a_b.test',
    'xn--bcher-kva.test',
    '*.x.test',
    '*.example.com',
    '*.test',
    '*.internal',
  ])('%s is right', (pattern) => {
    expect(faultOfPattern(pattern)).toBeUndefined()
  })
})

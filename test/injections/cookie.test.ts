import { array, assert, constantFrom, property } from 'fast-check'
import { expect, test } from 'vitest'
import { Problem } from '../../src/core/problem.ts'
import { Secret } from '../../src/core/secret.ts'
import { cookiesOf, withCookie } from '../../src/injections/cookie-pairs.ts'
import { buildInjection, injectionSettings } from '../../src/injections/registry.ts'
import { outgoing } from '../support/outgoing.ts'

const without = (...values: string[]) =>
  withCookie(
    values.flatMap((value) => ['Cookie', value]),
    'session_id',
  )

test.each([
  ['session_id=x', undefined],
  ['a=1; session_id=x; b=2', 'a=1; b=2'],
  ['a=1;session_id=x;b=2', 'a=1; b=2'],
  ['session_id=1; session_id=2', undefined],
  ['SESSION_ID=x; a=1', 'a=1'],
  ['session%5Fid=x; a=1', 'a=1'],
  ['session.id=x; a=1', 'a=1'],
  ['session[id=x; a=1', 'a=1'],
  ['session_id; a=1', 'a=1'],
  ['=session_id=x; a=1', 'a=1'],
  ['session_id =x; a=1', 'a=1'],
  ['b=1,session_id=x; a=1', 'a=1'],
  ['b=1 session_id=x; a=1', 'a=1'],
  ['b="1; session_id=x"; a=1', 'b="1; a=1'],
  ['b="session_id=x"; a=1', 'a=1'],
  ['\x85session_id=x; a=1', 'a=1'],
  ['xsession_id=x; session_id2=y', 'xsession_id=x; session_id2=y'],
  ['a=session_id; b={"k":"v, w"}', 'a=session_id; b={"k":"v, w"}'],
  [';;a=1;', 'a=1'],
])('the caller’s own cookie goes, in every spelling, and no other: %s', (value, expected) => {
  expect(without(value)).toEqual(expected === undefined ? [] : ['Cookie', expected])
})

test('several Cookie fields become one, and what is only called nearly so goes', () => {
  const fields = ['cookie', 'a=1', 'Accept', '*/*', 'COOKIE', 'session_id=x; b=2', 'Cookie_', 'session_id=y']
  expect(withCookie(fields, 'session_id', 'session_id=T')).toEqual([
    'Accept',
    '*/*',
    'Cookie',
    'a=1; b=2; session_id=T',
  ])
})

/** How servers of different makes take a Cookie field apart. */
const PARSERS: readonly ((value: string) => string[])[] = [
  (value) => value.split(';').map((pair) => pair.trim().split('=', 1)[0] ?? ''),
  (value) => value.split(/[;,]/).map((pair) => pair.trim().replace(/^=+/, '').split('=', 1)[0] ?? ''),
  (value) => [...value.matchAll(/([\w.%-]+)\s*=\s*("[^"]*"|[^;,\s]*)/g)].map(([, name = '']) => name),
]

test('no server finds a cookie of the caller’s under the name, whatever it sends', () => {
  const piece = constantFrom('sid', 'SID', '%73id', '=', ';', ' ', ',', '"', 'a', '1', '\t', '\\', '%')
  assert(
    property(array(piece, { maxLength: 24 }), (pieces) => {
      const [, kept = ''] = withCookie(['Cookie', pieces.join('')], 'sid')
      for (const parse of PARSERS) {
        const names = parse(kept).map((name) => name.toLowerCase().replace('%73', 's'))
        expect(names.filter((name) => name === 'sid' && kept.includes('='))).toEqual([])
      }
    }),
    { numRuns: 3000 },
  )
})

test('a value is read without its quotes', () => {
  expect(cookiesOf(['Cookie', 'k="a b"; k2=1'], 'k')).toEqual(['a b'])
})

test.each(['a b', 'a;b', 'a,b', 'a"b', 'a\\b'])('the credential %j is no cookie value', (text) => {
  const cookie = buildInjection(injectionSettings.parse({ kind: 'cookie', name: 'session' }))
  expect(() => cookie.inject(outgoing(), { secret: new Secret(text) })).toThrow(Problem)
})

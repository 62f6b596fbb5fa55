import { expect, test } from 'vitest'
import { parseJsonObject } from '../../src/wire/json-object.ts'

test('reads the members of an object, whatever their values hold', () => {
  const text = '{"a": "x:{\\"a\\":1}", "b": {"a": 1, "b": [{"a": 2}]}, "": null}'
  expect(parseJsonObject(text)).toEqual(
    new Map<string, unknown>([
      ['a', 'x:{"a":1}'],
      ['b', { a: 1, b: [{ a: 2 }] }],
      ['', null],
    ]),
  )
})

test.each([
  ['nothing', ''],
  ['HTML', '<html>'],
  ['half an object', '{"access_token":"a"'],
  ['a byte order mark', '\uFEFF{}'],
  ['null', 'null'],
  ['a list', '[]'],
  ['a string', '"x"'],
  ['a great depth', '['.repeat(10_000)],
])('J01: %s is no object', (_what, text) => {
  expect(parseJsonObject(text)).toBeUndefined()
})

test.each([
  '{"access_token":"a","access_token":"b"}',
  '{"access_token":"a","access\\u005ftoken":"b"}',
  '{"a":{"b":1},"a":{"b":1}}',
])('J21: a name given twice makes %s unclear', (text) => {
  expect(parseJsonObject(text)).toBeUndefined()
})

test.each(['{"a":{"b":1,"b":2}}', '{"a":[0,{"b":{"c":1,"\\u0063":1}}],"d":1}'])(
  'J21: at a depth that is looked at, too: %s',
  (text) => {
    expect(parseJsonObject(text)?.size).toBeGreaterThan(0)
    expect(parseJsonObject(text, { isDeep: true })).toBeUndefined()
  },
)

test('with all depths looked at, what is clear is taken', () => {
  const text = '{"a":{"a":1,"b":[{"a":2},{"a":"x:y"}]},"b":{}}'
  expect(parseJsonObject(text, { isDeep: true })?.size).toBe(2)
  expect(parseJsonObject(`{"a":${'{"a":'.repeat(4_000)}1${'}'.repeat(4_000)}}`, { isDeep: true })?.size).toBe(1)
})

test('a name may come again within another member', () => {
  expect(parseJsonObject('{"a":{"a":1,"b":{"a":2}},"b":3}')?.size).toBe(2)
})

test('J21: __proto__ is a member like any other', () => {
  const members = parseJsonObject('{"__proto__":{"access_token":"a"}}')
  expect(members?.get('access_token')).toBeUndefined()
  expect(members?.size).toBe(1)
})

test('survives depth in a member', () => {
  expect(parseJsonObject(`{"a":${'['.repeat(5_000)}${']'.repeat(5_000)}}`)?.size).toBe(1)
})

import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { hasOneReading } from '../../src/core/path.ts'
import { compileRule, faultOfPath } from '../../src/core/rule.ts'
import { gather, shapeOf } from '../../src/review/path-shape.ts'
import { processorMs } from '../support/own-time.ts'

test.each([
  ['/', '/'],
  ['/v1/contacts', '/v1/contacts'],
  ['/v1/contacts/', '/v1/contacts/'],
  ['/v1/contacts/42', '/v1/contacts/*'],
  ['/v1/contacts/0199c6e0-7c11-7d3e-9d27-5d2a4f0f8a11/notes', '/v1/contacts/*/notes'],
  ['/blobs/9f86d081884c7d659a2feaa0c55ad015', '/blobs/*'],
  ['/o/01K9ZQ4T8N5E6Y7B3C2D1F0G9H', '/o/*'],
  ['/v1/subscription-settings', '/v1/subscription-settings'],
  ['/v1/contacts/42.json', '/v1/contacts/42.json'],
  ['/a/**/b', '/a/*/b'],
  ['/v1/../admin', undefined],
  ['/v1%2Fadmin', undefined],
])('%s has the shape %s', (path, shape) => {
  expect(shapeOf(path)).toBe(shape)
})

test('a few siblings are named one by one, many are names of things', () => {
  const users = Array.from({ length: 9 }, (_, at) => `/users/${'abcdefghi'[at]}/photo`)
  expect(gather(users.slice(0, 8))).toEqual(users.slice(0, 8))
  expect(gather([...users, '/users'])).toEqual(['/users', '/users/*/photo'])
})

test('what is deeper than any API is not looked into: a caller that asks for such paths stops nobody', () => {
  const deep = Array.from({ length: 200 }, (_, at) => `${'/a'.repeat(3_000)}/${at}x`)
  let shapes: readonly string[] = []
  const cost = processorMs(() => (shapes = gather(deep.map((path) => shapeOf(path) ?? ''))))
  expect(cost).toBeLessThan(1_000)
  expect(shapes).toEqual([`${'/a'.repeat(31)}/**`])
  expect(compileRule({ paths: shapes }).matches('GET', deep[0] ?? '')).toBe(true)
  const mixed = [...shapes, ...Array.from({ length: 9 }, (_, at) => `${'/a'.repeat(31)}/${'bcdefghij'[at]}`)]
  expect(gather(mixed)).toContain(shapes[0])
})

test('whatever the paths are, the patterns are right, and each path matches one of them', () => {
  const segment = fc.oneof(
    fc.stringMatching(/^[!-.0-~]{0,6}$/),
    fc.constantFrom('7', 'users', '*', '**', 'a*', '%2e', '0199c6e07c117d3e9d275d2a4f0f8a11', ''),
  )
  const path = fc.array(segment, { minLength: 1, maxLength: 5 }).map((segments) => `/${segments.join('/')}`)
  // A path has neither of these: they begin the query, and the fragment.
  const paths = fc.array(
    path.filter((one) => !/[?#]/.test(one)),
    { maxLength: 40 },
  )
  fc.assert(
    fc.property(paths, (all) => {
      const shapes = all.flatMap((one) => shapeOf(one) ?? [])
      const patterns = gather(shapes)
      expect(patterns.map(faultOfPath)).toEqual(patterns.map(() => undefined))
      const rule = compileRule({ paths: patterns })
      expect(all.filter((one) => hasOneReading(one) && !rule.matches('GET', one))).toEqual([])
    }),
  )
})

import { describe, expect, test } from 'vitest'
import { hasOneReading, isBelow } from '../../src/core/path.ts'
import { processorMs } from '../support/own-time.ts'

describe('D19: a path that servers resolve differently has more than one reading', () => {
  test.each([
    '//admin',
    '/v1//admin',
    '/v1/./admin',
    '/v1/../admin',
    '/v1/..',
    '/..',
    '/v1/%2e%2e/admin',
    '/v1/.%2E/admin',
    '/v1/%2e/admin',
    '/v1/%252e%252e/admin',
    '/v1/%25252e%25252e/admin',
    '/v1/..;/admin',
    '/v1/..;x=1/admin',
    '/v1/%2e%2e;x/admin',
    '/v1/.;/admin',
    '/v1%2f..%2fadmin',
    '/v1%2Fadmin',
    '/v1%252fadmin',
    '/v1%5cadmin',
    '/v1%255Cadmin',
    '/v1\\..\\admin',
    '\\v1\\..\\admin',
    '/v1/a%00.json',
    '/v1/a%2500.json',
  ])('%s', (path) => {
    expect(hasOneReading(path)).toBe(false)
  })
})

describe('a path that every server reads alike has one reading', () => {
  test.each([
    '/',
    '/v1/',
    '/v1/a.b',
    '/v1/...',
    '/v1/.well-known',
    '/v1/a..b',
    '/v1/a..',
    '/v1/a;x=..',
    '/v1/a%20b',
    '/v1/100%25',
    '/v1/a%2eb',
    '/v1/%2e%2e%2e',
    '/v1/caf%C3%A9',
    '/v1/a:b@c',
    '*',
  ])('%s', (path) => {
    expect(hasOneReading(path)).toBe(true)
  })
})

test('a long path is judged at once', () => {
  const cost = processorMs(() => {
    for (const unit of ['%25', '%2', '/.', ';.', '%2e', '.;/']) hasOneReading(`/${unit.repeat(30_000)}x`)
  })
  expect(cost).toBeLessThan(1000)
})

test.each([
  ['/v1', '/v1', true],
  ['/v1/', '/v1', true],
  ['/v1/a', '/v1', true],
  ['/v1a', '/v1', false],
  ['/V1/a', '/v1', false],
  ['/', '/v1', false],
  ['/anything', '', true],
])('whether %s is below %j: %s', (path, base, expected) => {
  expect(isBelow(path, base)).toBe(expected)
})

test.each([
  '/v1/contacts/%25%32%65%25%32%65/a',
  '/v1/contacts/%25%32e%25%32e/a',
  '/v1/contacts/..%25%32%66admin',
  '/v1/contacts/%252e%252e/a',
  '/v1/contacts/..%3b/a',
  '/v1/contacts/..%20/a',
  '/v1/contacts/..%09/a',
  '/v1/contacts/%2e%2e;x=1/a',
  '/v1/contacts/..%23/a',
])('D19: %s has more than one reading', (path) => {
  expect(hasOneReading(path)).toBe(false)
})

test.each(['/v1/a%20b', '/v1/100%25', '/v1/100%25%20off', '/v1/a.b', '/v1/...', '/v1/a;b=..', '/v1/%C3%A9'])(
  '%s has one',
  (path) => {
    expect(hasOneReading(path)).toBe(true)
  },
)

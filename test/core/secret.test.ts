import { format, inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { Secret, sha256 } from '../../src/core/secret.ts'

const TEXT = 'correct horse battery staple'
const secret = new Secret(TEXT)

describe('a secret is never printed', () => {
  test.each<[string, string]>([
    ['String()', String(secret)],
    // oxlint-disable-next-line typescript/restrict-template-expressions -- the slip that is tested
    ['a template literal', `${secret}`],
    ['concatenation', `a${String(secret)}`],
    ['toString', secret.toString()],
    ['toLocaleString', secret.toLocaleString()],
    ['joining', [secret].join()],
    ['JSON', JSON.stringify(secret)],
    ['JSON within', JSON.stringify({ a: [secret] })],
    ['inspect', inspect(secret)],
    ['inspect of what holds it', inspect({ a: new Map([['b', [secret]]]) }, { depth: 9 })],
    ['inspect of all there is', inspect({ secret }, { showHidden: true, getters: true })],
    ['util.format %s', format('%s', secret)],
    ['util.format %o', format('%o', secret)],
    ['util.format %O', format('%O', secret)],
    ['util.format %j', format('%j', secret)],
    ['util.format', format(secret)],
    // oxlint-disable-next-line typescript/restrict-template-expressions -- the slip that is tested
    ['an error message', new Error(`bad: ${secret}`).message],
    ['inspect of an error with it as the cause', inspect(new Error('bad', { cause: secret }))],
  ])('%s', (_, printed) => {
    expect(printed).toContain('[secret]')
    expect(printed).not.toContain('horse')
  })

  test.each<[string, string]>([
    ['inspect without its own form', inspect(secret, { customInspect: false, showHidden: true })],
    ['its keys and values', JSON.stringify([Object.entries(secret), Reflect.ownKeys(secret)])],
    ['a clone', inspect(structuredClone(secret))],
    ['a copy', inspect(Object.assign({}, secret))],
    ['a number of it', format('%d %i %f', secret, secret, secret)],
  ])('nor by %s', (_, printed) => {
    expect(printed).not.toContain('horse')
  })
})

test('a secret is revealed to who asks for it', () => {
  expect(secret.reveal()).toBe(TEXT)
})

test('secrets are equal when their texts are', () => {
  expect(secret.equals(new Secret(TEXT))).toBe(true)
  expect(secret.equals(new Secret(`${TEXT} `))).toBe(false)
  expect(secret.equals(new Secret(''))).toBe(false)
})

test('a digest is SHA-256 of the text', () => {
  expect(secret.digest()).toEqual(sha256(TEXT))
  expect(sha256('abc').toString('hex')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
})

describe('a fingerprint', () => {
  const key = Buffer.alloc(32, 1)

  test('is 16 hex digits, the same for the same text and key', () => {
    expect(secret.fingerprint(key)).toMatch(/^[0-9a-f]{16}$/)
    expect(new Secret(TEXT).fingerprint(key)).toBe(secret.fingerprint(key))
  })

  test('differs with the text, with the key, and from a bare digest', () => {
    const others = [
      new Secret(`${TEXT}.`).fingerprint(key),
      secret.fingerprint(Buffer.alloc(32, 2)),
      secret.digest().toString('hex').slice(0, 16),
    ]
    expect(others).not.toContain(secret.fingerprint(key))
  })
})

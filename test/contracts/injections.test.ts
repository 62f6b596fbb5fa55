import { describe, expect, test } from 'vitest'
import { Problem } from '../../src/core/problem.ts'
import { Secret } from '../../src/core/secret.ts'
import { buildInjection, injectionKinds, injectionSettings } from '../../src/injections/registry.ts'
import { textInSlot, withoutParameter } from '../../src/injections/slot.ts'
import { describeKinds } from './kinds.ts'

const examples = {
  bearer: {},
  header: { name: 'X-Api-Key' },
  basic: { user: 'app' },
  query: { name: 'api_key' },
}

describeKinds('injections', injectionKinds, examples)

const CREDENTIAL = 'AT_CANARY.a-b_c~1'

// Object.keys has forgotten the names of the keys.
describe.each(Object.keys(injectionKinds) as (keyof typeof injectionKinds)[])('the injection %s', (kind) => {
  const injection = buildInjection(injectionSettings.parse({ kind, ...examples[kind] }))
  const before = Object.freeze({ fields: Object.freeze(['Host', 'api.test', 'Accept', '*/*']), query: '?a=1' })

  function inject(text: string) {
    return injection.inject(before, { secret: new Secret(text) })
  }

  test('adds the credential exactly once, and leaves the rest as it was', () => {
    const { fields, query } = inject(CREDENTIAL)
    expect(fields.slice(0, 4)).toEqual(before.fields)
    expect(query.startsWith('?a=1')).toBe(true)
    const encoded = Buffer.from(`app:${CREDENTIAL}`).toString('base64')
    const told = `${fields.join('\n')}\n${query}`
    expect(told.split(CREDENTIAL).length + told.split(encoded).length).toBe(3)
  })

  test('puts it where its slot says', () => {
    const { fields, query } = inject(CREDENTIAL)
    const [found = ''] = textInSlot(injection.slot, fields, query)
    expect([CREDENTIAL, Buffer.from(`app:${CREDENTIAL}`).toString('base64')]).toContain(found)
  })

  test.each(['a\r\nEvil: 1', 'a\nb', 'a\0b', 'schlüssel', '\u{1f511}', ''])('refuses the value %j', (value) => {
    expect(() => inject(value)).toThrow(Problem)
  })

  test('does not change what it was given', () => {
    expect(() => inject(CREDENTIAL)).not.toThrow()
    expect(before.query).toBe('?a=1')
  })
})

test.each([
  ['?api_key=x', ''],
  ['?a=1&api_key=x&b=2', '?a=1&b=2'],
  ['?api%5Fkey=x&a=1', '?a=1'],
  ['?api_key&a=1', '?a=1'],
  ['?api_key=1&api_key=2', ''],
  ['?xapi_key=1', '?xapi_key=1'],
  ['?%ff=1&a=1', '?%ff=1&a=1'],
  ['', ''],
])('the caller’s own parameter goes, in every spelling: %s', (query, expected) => {
  expect(withoutParameter(query, 'api_key')).toBe(expected)
})

test('a query credential is percent-encoded', () => {
  const injection = buildInjection(injectionSettings.parse({ kind: 'query', name: 'key' }))
  expect(injection.inject({ fields: [], query: '' }, { secret: new Secret('a&b=c d#e') }).query).toBe(
    '?key=a%26b%3Dc%20d%23e',
  )
})

test('a header credential stands where the template says', () => {
  const injection = buildInjection(
    injectionSettings.parse({ kind: 'header', name: 'X-Auth', template: 'Token {credential}!' }),
  )
  expect(injection.inject({ fields: [], query: '' }, { secret: new Secret('abc') }).fields).toEqual([
    'X-Auth',
    'Token abc!',
  ])
})

test.each(['Host', 'content-length', 'Transfer-Encoding', 'Connection', 'Proxy-Authorization', 'Via', 'Expect'])(
  'a credential in %s would be another request, and cannot be set',
  (name) => {
    expect(injectionSettings.safeParse({ kind: 'header', name }).success).toBe(false)
  },
)

test.each(['no place', '{credential}{credential}', 'a\r\n{credential}'])(
  'the template %j cannot be set',
  (template) => {
    expect(injectionSettings.safeParse({ kind: 'header', name: 'X-Auth', template }).success).toBe(false)
  },
)

test('the user of Basic is the setting’s, else the credential’s, else empty', () => {
  const user = (settings: object, credential: object) => {
    const made = buildInjection(injectionSettings.parse({ kind: 'basic', ...settings }))
    const { fields } = made.inject({ fields: [], query: '' }, { secret: new Secret('pw'), ...credential })
    return Buffer.from(fields[1]?.slice('Basic '.length) ?? '', 'base64').toString()
  }
  expect([user({ user: 'a' }, { user: 'b' }), user({}, { user: 'b' }), user({}, {})]).toEqual(['a:pw', 'b:pw', ':pw'])
})

import { describe, expect, test } from 'vitest'
import { Problem } from '../../src/core/problem.ts'
import { Secret } from '../../src/core/secret.ts'
import { buildInjection, injectionKinds, injectionSettings } from '../../src/injections/registry.ts'
import { emptied, slotsHold, textInSlot, withoutParameter } from '../../src/injections/slot.ts'
import { DpopKey } from '../../src/oauth/dpop.ts'
import { endToEnd, valuesOf } from '../../src/wire/fields.ts'
import { HandClock } from '../support/hand-clock.ts'
import { outgoing } from '../support/outgoing.ts'
import { describeKinds } from './kinds.ts'

const PROOF = /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/
const boundTo = new DpopKey(true, new HandClock())
const FIXED = '2026-01'
const PLACEHOLDER = 'held-by-sallyport'

const examples = {
  bearer: {},
  dpop: {},
  header: { name: 'X-Api-Key' },
  template: { headers: { 'X-Api-Key': 'Token {credential}', 'X-Copy': '{credential}', 'X-Api-Version': FIXED } },
  basic: { user: 'app' },
  'git-basic': {},
  query: { name: 'api_key' },
  cookie: { name: 'session' },
  placeholder: { placeholder: PLACEHOLDER, in: { header: 'X-Api-Key' } },
}

describeKinds('injections', injectionKinds, examples)

const CREDENTIAL = 'AT_CANARY.a-b_c~1'
const BASIC = ['app', 'x-access-token'].map((user) => Buffer.from(`${user}:${CREDENTIAL}`).toString('base64'))

// Object.keys has forgotten the names of the keys.
describe.each(Object.keys(injectionKinds) as (keyof typeof injectionKinds)[])('the injection %s', (kind) => {
  const injection = buildInjection(injectionSettings.parse({ kind, ...examples[kind] }))
  const before = Object.freeze({
    fields: Object.freeze(['Host', 'api.test', 'Accept', '*/*', 'Cookie', 'theme=dark']),
    query: '?a=1',
  })

  function inject(text: string) {
    const sent = outgoing({ ...before, found: () => [PLACEHOLDER] })
    return injection.inject(sent, { secret: new Secret(text), boundTo })
  }

  /** In the slots, as whoever reads them finds it; there may be texts and proofs besides. */
  function found({ fields, query }: ReturnType<typeof inject>): string[] {
    return injection.slots
      .flatMap((slot) => textInSlot(slot, fields, query))
      .filter((text) => text !== FIXED && !PROOF.test(text))
  }

  test('puts the credential into each of its slots, and nowhere else', () => {
    const { fields, query } = inject(CREDENTIAL)
    expect(fields.slice(0, 4)).toEqual(before.fields.slice(0, 4))
    expect(valuesOf(fields, 'cookie').join()).toMatch(/^theme=dark(?:; |$)/)
    expect(query.startsWith('?a=1')).toBe(true)
    const told = [CREDENTIAL, ...BASIC].map((text) => `${fields.join('\n')}\n${query}`.split(text).length - 1)
    expect(told.reduce((sum, each) => sum + each)).toBe(found({ fields, query }).length)
  })

  test('puts it where its slots say', () => {
    const texts = found(inject(CREDENTIAL))
    expect(texts.length).toBeGreaterThan(0)
    for (const text of texts) expect([CREDENTIAL, ...BASIC]).toContain(text)
  })

  test('finds nothing of the caller’s in a slot that was emptied, and leaves the rest', () => {
    const mine = inject('mine')
    const fields = endToEnd(mine.fields, slotsHold(injection))
    const empty = emptied(injection, { fields, query: mine.query })
    expect(injection.slots.flatMap((slot) => textInSlot(slot, empty.fields, empty.query))).toEqual([])
    expect(empty).toEqual({ fields: [...before.fields], query: before.query })
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
  expect(injection.inject(outgoing(), { secret: new Secret('a&b=c d#e') }).query).toBe('?key=a%26b%3Dc%20d%23e')
})

test('a header credential stands where the template says', () => {
  const injection = buildInjection(
    injectionSettings.parse({ kind: 'header', name: 'X-Auth', template: 'Token {credential}!' }),
  )
  expect(injection.inject(outgoing(), { secret: new Secret('abc') }).fields).toEqual(['X-Auth', 'Token abc!'])
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
    const { fields } = made.inject(outgoing(), { secret: new Secret('pw'), ...credential })
    return Buffer.from(fields[1]?.slice('Basic '.length) ?? '', 'base64').toString()
  }
  expect([user({ user: 'a' }, { user: 'b' }), user({}, { user: 'b' }), user({}, {})]).toEqual(['a:pw', 'b:pw', ':pw'])
})

test('git sees a token as the password of x-access-token, or of whomever the settings name', () => {
  const pair = (settings: object) => {
    const made = buildInjection(injectionSettings.parse({ kind: 'git-basic', ...settings }))
    const { fields } = made.inject(outgoing(), { secret: new Secret('T'), user: 'of-the-credential' })
    return Buffer.from(fields[1]?.slice('Basic '.length) ?? '', 'base64').toString()
  }
  expect([pair({}), pair({ user: 'oauth2' })]).toEqual(['x-access-token:T', 'oauth2:T'])
})

test.each([
  [{}, 'use {credential} in at least one header, as in "Token {credential}"'],
  [{ 'X-A': 'fixed' }, 'use {credential} in at least one header, as in "Token {credential}"'],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is what a reader of other tools would write
  [{ 'X-A': '${credential}' }, 'use {credential}, without a "$"'],
  [{ 'X-A': '{credential}{credential}' }, 'use {credential} once at most in each header'],
  [{ 'X-A': '{credential}', x_a: 'b' }, 'use a header name such as "X-Api-Key"'],
  [{ 'X-A': '{credential}', 'x-a': 'b' }, 'name each header once: case does not tell them apart'],
  [{ 'X-A': '{credential}', Host: 'evil' }, 'use another header: this one belongs to the connection itself'],
  [{ 'X-A': 'a\r\n{credential}' }, 'use visible ASCII'],
])('the headers %j cannot be set', (headers, message) => {
  const { error } = injectionSettings.safeParse({ kind: 'template', headers })
  expect(JSON.stringify(error?.issues)).toContain(JSON.stringify(message).slice(1, -1))
})

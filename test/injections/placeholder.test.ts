import { expect, test } from 'vitest'
import { Problem } from '../../src/core/problem.ts'
import { Secret } from '../../src/core/secret.ts'
import type { BodyInjection, Injection } from '../../src/injections/injection.ts'
import { buildInjection, injectionSettings } from '../../src/injections/registry.ts'
import { outgoing } from '../support/outgoing.ts'

const HELD = 'held-by-sallyport'
const secret = new Secret('T"$&\\1')

function placeholder(place: object): Injection {
  return buildInjection(injectionSettings.parse({ kind: 'placeholder', placeholder: HELD, in: place }))
}

function bodyOf(place: object): BodyInjection {
  const { body } = placeholder(place)
  if (!body) throw new Error('the place is not in the body')
  return body
}

/** What becomes of a body, or the reason why it is refused; judged and filled alike. */
function fill(place: object, text: string | Buffer, credential = secret): string {
  const body = bodyOf(place)
  try {
    body.judge(Buffer.from(text))
    return body.fill(Buffer.from(text), { secret: credential }).toString()
  } catch (error) {
    if (error instanceof Problem) return `${error.code}: ${error.reason}`
    throw error
  }
}

const refused = (reason: string) => `placeholder-misplaced: ${reason}`

test.each([
  ['/k', `{"k":"${HELD}"}`, '{"k":"T\\"$&\\\\1"}'],
  [
    '/k',
    ` {\n"n": 12345678901234567890, "k": "Bearer ${HELD}" }`,
    ' {\n"n": 12345678901234567890, "k": "Bearer T\\"$&\\\\1" }',
  ],
  ['/a~1b/1/m~0n', `{"a/b":[0,{"m~n":"${HELD}"}]}`, '{"a/b":[0,{"m~n":"T\\"$&\\\\1"}]}'],
  ['', `"${HELD}"`, '"T\\"$&\\\\1"'],
  ['/__proto__/k', `{"__proto__":{"k":"${HELD}"}}`, '{"__proto__":{"k":"T\\"$&\\\\1"}}'],
])('JSON at %s: %s', (json, text, expected) => {
  expect(fill({ json }, text)).toBe(expected)
})

test.each([
  [`{"k":"other"}`, 'it is not in its place'],
  [`{"other":"${HELD}"}`, 'it is not in its place'],
  [`{"k":["${HELD}"]}`, 'it is not in its place'],
  [`{"k":"${HELD}${HELD}"}`, 'it is in its place more than once'],
  [`{"k":"${HELD}","l":"${HELD}"}`, 'it is in other places, too'],
  [`{"k":"${HELD}","${HELD}":1}`, 'it is in other places, too'],
  [`{"k":"${HELD}","l":[[["\\u0068eld-by-sallyport"]]]}`, 'it is in other places, too'],
  [`{"k":"\\u0068eld-by-sallyport"}`, 'it is not in its place'],
  [`{"k":"${HELD}","k":"\\u0068eld-by-sallyport"}`, 'its place can be read in two ways'],
  [`{"k":"${HELD}","k":"x"}`, 'it is not in its place'],
  [`{"k":"${HELD}"`, 'the body is not JSON'],
  [`\u{feff}{"k":"${HELD}"}`, 'the body is not JSON'],
  ['', 'the body is not JSON'],
  ['null', 'it is not in its place'],
  [`${'['.repeat(100_000)}${']'.repeat(100_000)}`, 'it is not in its place'],
])('a JSON body is refused unless the placeholder is in its place alone: %.60s', (text, reason) => {
  expect(fill({ json: '/k' }, text)).toBe(refused(reason))
})

test('a deep body with the placeholder neither ends the process nor passes', () => {
  expect(fill({ json: '/k' }, `{"k":"${HELD}","d":${'['.repeat(200_000)}"${HELD}"${']'.repeat(200_000)}}`)).toBe(
    refused('it is in other places, too'),
  )
})

test('a body that is no UTF-8 is refused', () => {
  const odd = Buffer.from(`{"k":"${HELD}","l":"\xff"}`, 'latin1')
  expect(fill({ json: '/k' }, odd)).toBe(refused('the body is not UTF-8'))
})

test.each([
  [`k=${HELD}`, 'k=T%22%24%26%5C1'],
  [`a=1+2&k=x${HELD}y&b=%20`, 'a=1+2&k=xT%22%24%26%5C1y&b=%20'],
  [`%6b=${HELD}`, '%6b=T%22%24%26%5C1'],
  ['k=1', refused('it is not in its place')],
  ['k', refused('it is not in its place')],
  [`a=${HELD}`, refused('it is not in its place')],
  [`k=${HELD}&k=1`, refused('its field is there more than once')],
  [`k=${HELD}&%6B=1`, refused('its field is there more than once')],
  [`k=${HELD}&b=${HELD}`, refused('it is in other places, too')],
  [`k=${HELD}&b=%68eld-by-sallyport&c=%zz`, refused('it is in other places, too')],
  [`k=${HELD}&${HELD}=1`, refused('it is in other places, too')],
  [`k=x;note=${HELD}`, refused('its place can be read in two ways')],
])('a form: %s', (text, expected) => {
  expect(fill({ form: 'k' }, text)).toBe(expected)
})

test.each([
  [{ json: '/k' }, ['Content-Type', 'application/json'], ''],
  [{ json: '/k' }, ['content-type', 'Application/Problem+JSON; charset=UTF-8'], ''],
  [{ json: '/k' }, ['Content-Type', 'application/json; charset=utf-16'], 'in another character set than UTF-8'],
  [{ json: '/k' }, ['Content-Type', 'application/json; charset =utf-7'], 'in another character set than UTF-8'],
  [{ json: '/k' }, ['Content-Type', "application/json; charset*=x'x'utf-7"], 'in another character set than UTF-8'],
  [{ json: '/k' }, ['Content-Type', 'text/plain'], 'of another type'],
  [{ json: '/k' }, [], 'of another type'],
  [{ json: '/k' }, ['Content-Type', 'application/json', 'Content-Type', 'text/plain'], 'of another type'],
  [{ json: '/k' }, ['Content-Type', 'application/json', 'Content-Encoding', 'gzip'], 'compressed'],
  [{ form: 'k' }, ['Content-Type', 'application/x-www-form-urlencoded'], ''],
  [
    { form: 'k' },
    ['Content-Type', 'application/x-www-form-urlencoded', 'Content_Type', 'multipart/form-data; boundary=x'],
    'of a type that can be read in two ways',
  ],
  [{ form: 'k' }, ['Content-Type', 'multipart/form-data; boundary=x'], 'of another type'],
])('for %j the head %j is judged', (place, fields, wrong) => {
  const judge = () => bodyOf(place).judgeHead(fields)
  if (wrong === '') judge()
  else expect(judge).toThrow(`the body is ${wrong}`)
})

test('what the caller has said of the bytes of its body goes with them', () => {
  const fields = ['Content-Digest', 'sha-256=:x:', 'Accept', '*/*', 'Content_MD5', 'x', 'Repr-Digest', 'x']
  const { fields: kept } = placeholder({ json: '/k' }).inject(outgoing({ fields }), { secret })
  expect(kept).toEqual(['Accept', '*/*'])
})

test('a query parameter keeps what stands around the placeholder', () => {
  const { query } = placeholder({ query: 'q k' }).inject(outgoing({ query: '?a=1', found: () => [`x ${HELD}`] }), {
    secret,
  })
  expect(query).toBe('?a=1&q%20k=x%20T%22%24%26%5C1')
})

test.each([
  [{ url: `https://api.test/${HELD}` }],
  [{ query: `?a=${HELD}` }],
  [{ fields: ['X-A', `x${HELD}x`] }],
  [{ fields: [HELD, 'x'] }],
])('it is refused in another place of the head, wherever its own is: %j', (given) => {
  for (const place of [{ header: 'X-Key' }, { query: 'k' }, { json: '/k' }, { form: 'k' }])
    expect(() => placeholder(place).inject(outgoing({ found: () => [HELD], ...given }), { secret })).toThrow(
      /another place/,
    )
})

test.each([{ header: 'Host' }, { header: 'X-A', query: 'k' }, { json: 'k' }, { json: '/~2' }, {}, { form: '' }])(
  'the place %j cannot be set',
  (place) => {
    expect(injectionSettings.safeParse({ kind: 'placeholder', placeholder: HELD, in: place }).success).toBe(false)
  },
)

test.each(['short', 'has blanks in it', 'percent%20percent', ''])('the placeholder %j cannot be set', (text) => {
  const settings = { kind: 'placeholder', placeholder: text, in: { header: 'X-A' } }
  expect(injectionSettings.safeParse(settings).success).toBe(false)
})

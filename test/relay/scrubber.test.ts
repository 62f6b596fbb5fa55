import { array, assert, constantFrom, integer, property } from 'fast-check'
import { expect, test } from 'vitest'
import { Secret } from '../../src/core/secret.ts'
import { echoForms } from '../../src/injections/echo-forms.ts'
import { Scrubber } from '../../src/relay/scrubber.ts'

const forms = (...texts: string[]) => texts.map((text) => Buffer.from(text))

/** What comes out of chunks, in one. */
function through(looked: readonly Buffer[], chunks: readonly Buffer[]): string {
  const scrubber = new Scrubber(looked)
  const out = chunks.map((chunk) => scrubber.push(chunk))
  return Buffer.concat([...out, scrubber.flush()]).toString('latin1')
}

/** Cut before each of these places. */
function cut(text: string, at: readonly number[]): Buffer[] {
  const places = [...new Set([0, ...at.map((place) => place % (text.length + 1)), text.length])].sort((a, b) => a - b)
  return places.slice(1).map((end, index) => Buffer.from(text.slice(places[index], end), 'latin1'))
}

test.each([
  ['the secret is here', 'the ****** is here'],
  ['secretsecret', '************'],
  ['secresecret', 'secre******'],
  ['secre', 'secre'],
  ['', ''],
])('%j becomes %j, byte by byte, too', (text, expected) => {
  const looked = forms('secret')
  expect(through(looked, [Buffer.from(text)])).toBe(expected)
  expect(
    through(
      looked,
      Buffer.from(text)
        .toString()
        .split('')
        .map((char) => Buffer.from(char)),
    ),
  ).toBe(expected)
  expect(new Scrubber(looked).text(text)).toBe(expected)
})

test('what cannot be the beginning of a match is not held back', () => {
  const scrubber = new Scrubber(forms('secret'))
  expect(scrubber.push(Buffer.from('data: 1\n\n')).toString()).toBe('data: 1\n\n')
  expect(scrubber.push(Buffer.from('a sec')).toString()).toBe('a ')
  expect(scrubber.push(Buffer.from('ond')).toString()).toBe('second')
})

test('a chunk is not written to', () => {
  const chunk = Buffer.from('a secret')
  new Scrubber(forms('secret')).push(chunk)
  expect(chunk.toString()).toBe('a secret')
})

test('matches that overlap are all gone, wherever the text is cut', () => {
  const looked = forms('abab', 'babc', 'cc')
  const piece = constantFrom('a', 'b', 'c', 'ab', 'abab', 'babc', 'x')
  assert(
    property(
      array(piece, { maxLength: 30 }),
      array(integer({ min: 0, max: 1_000 }), { maxLength: 12 }),
      (parts, at) => {
        const text = parts.join('')
        // Each match found on its own, in the text as a whole.
        const expected = text.split('')
        for (const each of ['abab', 'babc', 'cc'])
          for (let found = text.indexOf(each); found !== -1; found = text.indexOf(each, found + 1))
            expected.fill('*', found, found + each.length)
        expect(through(looked, cut(text, at))).toBe(expected.join(''))
      },
    ),
    { numRuns: 2_000 },
  )
})

/** With these characters as \u00xx. */
function inJson(text: string, characters: RegExp): string {
  const escaped = (found: string) => `\\u00${found.charCodeAt(found.length - 1).toString(16)}`
  return `"${JSON.stringify(text).slice(1, -1).replace(characters, escaped)}"`
}

const CREDENTIAL = 'AT canary/+"\\.~-_%=!'

test.each<[string, (text: string) => string]>([
  ['as it is', (text) => text],
  ['percent-encoded', (text) => encodeURIComponent(text)],
  ['percent-encoded in lower case', (text) => encodeURIComponent(text).replace(/%../g, (code) => code.toLowerCase())],
  ['as a form field', (text) => new URLSearchParams({ k: text }).toString()],
  ['in JSON', (text) => JSON.stringify({ k: text })],
  ['in the JSON of PHP', (text) => JSON.stringify({ k: text }).replaceAll('/', '\\/')],
  [
    'in the JSON of .NET',
    (text) => inJson(text, /\\"|[&'+<>`]/g).replace(/\\u00../g, (code) => `\\u${code.slice(2).toUpperCase()}`),
  ],
  ['in the JSON of Gson', (text) => inJson(text, /[&'<=>]/g)],
  ['in the JSON of Go', (text) => inJson(text, /[&<>]/g)],
  ['in HTML', (text) => text.replaceAll('"', '&quot;')],
  ['in the HTML of .NET', (text) => text.replaceAll('"', '&quot;').replaceAll('+', '&#x2B;')],
  ['in hexadecimal', (text) => Buffer.from(text).toString('hex')],
  ['in UTF-16', (text) => Buffer.from(text, 'utf16le').toString('latin1')],
  ...['', 'u', 'us', 'user:'].flatMap((before): [string, (text: string) => string][] => [
    [
      `in base64, behind ${JSON.stringify(before)}`,
      (text) => Buffer.from(`${before}${text} and more`).toString('base64'),
    ],
    [`in base64url, behind ${JSON.stringify(before)}`, (text) => Buffer.from(before + text).toString('base64url')],
  ]),
])('a credential that comes back %s is not told', (_how, encode) => {
  const looked = echoForms(new Secret(CREDENTIAL))
  const text = `before ${encode(CREDENTIAL)} after`
  for (const size of [1, 2, 7, text.length]) {
    const chunks = cut(
      text,
      Array.from({ length: text.length }, (_, index) => index * size),
    )
    const out = through(looked, chunks)
    expect(out).toHaveLength(text.length)
    // All but what base64 shares with what stands beside it.
    expect(/\*+/.exec(out)?.[0].length).toBeGreaterThanOrEqual(encode(CREDENTIAL).length - 24)
    expect(out.startsWith('before ') && out.endsWith(' after')).toBe(true)
    expect(out).not.toContain('canary')
  }
})

test('the forms of a secret are made once', () => {
  const secret = new Secret(CREDENTIAL)
  expect(echoForms(secret)).toBe(echoForms(secret))
})

test('a short credential is looked for as it is, and not in forms that are in every text', () => {
  expect(through(echoForms(new Secret('ab')), [Buffer.from('ab YWI 6162 a')])).toBe('** YWI **** a')
})

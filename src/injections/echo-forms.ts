import type { Secret } from '../core/secret.ts'

/** A form shorter than this is in every other text. */
const LEAST = 4

/** One token serves thousands of answers. */
const known = new WeakMap<Secret, readonly Buffer[]>()

/**
 * The bytes as which a credential could come back in an answer: as it is, percent-encoded, in JSON, in HTML, in hexadecimal,
 * in UTF-16, and in base64 and base64url, whatever stands before it. The same list for the same secret.
 */
export function echoForms(secret: Secret): readonly Buffer[] {
  const before = known.get(secret)
  if (before) return before
  const text = secret.reveal()
  // HTTP Basic sends base64, of which all the others are then made.
  const sent = [text, ...base64Forms(text)]
  const derived = [
    ...sent,
    ...sent.flatMap((each) => [...percentForms(each), ...jsonForms(each), ...htmlForms(each), ...base64Forms(each)]),
  ]
  const texts = new Set([text, ...[...derived, ...hexForms(text)].filter((form) => form.length >= LEAST)])
  const wide = Buffer.from(text, 'utf16le')
  const forms = [...[...texts].map((form) => Buffer.from(form)), wide, Buffer.from(wide).swap16()]
  known.set(secret, forms)
  return forms
}

function percentForms(text: string): string[] {
  const usual = encodeURIComponent(text)
  // Encoders differ about these: RFC 3986, HTML forms, and those that leave letters and digits alone.
  const strict = encodedToo(usual, /[!'()*]/g)
  const all = encodedToo(usual, /[^A-Za-z0-9%]/g)
  const form = new URLSearchParams({ k: text }).toString().slice(2)
  const forms = [usual, strict, all, form, usual.replaceAll('%20', '+'), strict.replaceAll('%20', '+')]
  return [...forms, ...forms.map((form) => form.replace(/%../g, (code) => code.toLowerCase()))]
}

function encodedToo(text: string, characters: RegExp): string {
  return text.replace(characters, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
}

function jsonForms(text: string): string[] {
  const usual = JSON.stringify(text).slice(1, -1)
  const escaped = (form: string, characters: RegExp) => form.replace(characters, (char) => `\\u00${hexOf(char)}`)
  // What Go, Gson and .NET escape besides, each in its own way.
  const net = escaped(usual.replaceAll('\\"', '\\u0022'), /[&'+<>`]/g)
  const upper = net.replace(/\\u00../g, (code) => `\\u${code.slice(2).toUpperCase()}`)
  return [usual, usual.replaceAll('/', '\\/'), escaped(usual, /[&<>]/g), escaped(usual, /[&'<=>]/g), upper]
}

/** As most templates have it, and as those of .NET do. */
function htmlForms(text: string): string[] {
  const usual = text.replace(/[&<>"']/g, (char) => HTML[char] ?? char)
  const net = text.replace(/[&<>"]/g, (char) => HTML[char] ?? char).replaceAll("'", '&#x27;')
  return [usual, net.replaceAll('+', '&#x2B;')]
}

const HTML: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

function hexOf(char: string): string {
  return char.charCodeAt(0).toString(16).padStart(2, '0')
}

function hexForms(text: string): string[] {
  const hex = Buffer.from(text).toString('hex')
  return [hex, hex.toUpperCase()]
}

/** Three bytes become four characters, so what comes before shifts the rest: one form for each of the three places. */
function base64Forms(text: string): string[] {
  return [0, 1, 2].flatMap((before) => {
    const bytes = Buffer.concat([Buffer.alloc(before), Buffer.from(text)])
    // The characters that hold bits of the secret alone.
    const from = Math.ceil((before * 8) / 6)
    const to = Math.floor((bytes.length * 8) / 6)
    return [bytes.toString('base64').slice(from, to), bytes.toString('base64url').slice(from, to)]
  })
}

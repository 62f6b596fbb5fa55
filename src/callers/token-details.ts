/** So long a text of a token goes into the record whole. */
const MAX_CHARS = 512

/** What a token says of its caller, for the record; what it does not say is left out. */
export function detailsOf(claims: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  const told = Object.entries(claims).flatMap(([name, value]) =>
    typeof value === 'string' && value.length <= MAX_CHARS ? [[name, printable(value)]] : [],
  )
  return Object.fromEntries(told)
}

/** Whatever a terminal may act on is escaped; the record is read there. */
function printable(text: string): string {
  return text.replace(/[^ -~]/gu, (char) => `\\u{${char.codePointAt(0)?.toString(16)}}`)
}

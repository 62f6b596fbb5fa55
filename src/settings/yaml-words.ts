/**
 * What is wrong with a text as YAML, and the form to use, by YAML's code. Its own words are not used: they speak of its
 * grammar, and some of them quote the text, which may be a secret that stands where it should not.
 */
const WORDS: Readonly<Record<string, string>> = {
  BAD_ALIAS: 'put the text in quotes: "*" at its start would refer to an anchor',
  BAD_DIRECTIVE: 'leave the line with "%" out',
  BAD_DQ_ESCAPE: 'use single quotes, or "\\\\" for a backslash',
  BAD_INDENT: 'indent entries of one mapping or list alike, what belongs to them deeper, and close "[" and "{"',
  BAD_SCALAR_START: 'put the text in quotes: YAML keeps the character it starts with for itself',
  BLOCK_AS_IMPLICIT_KEY: 'put a text with ": " in it in quotes, or start a new line',
  BLOCK_IN_FLOW: 'use commas, not new lines with "-" or "key:", between "[" and "]" or "{" and "}"',
  DUPLICATE_KEY: 'use each key once in a mapping',
  MISSING_CHAR: 'close what is open: a quote, "]", "}", or a ":" after a key',
  MULTILINE_IMPLICIT_KEY: 'write "key: value": a key stands on one line, with ":" after it',
  MULTIPLE_DOCS: 'use one document: nothing may come after a second "---"',
  NON_STRING_KEY: 'use a plain text as the key',
  RESOURCE_EXHAUSTION: 'nest less deeply: nothing here needs it',
  TAB_AS_INDENT: 'use spaces to indent',
  TAG_RESOLVE_FAILED: 'leave the tag, which starts with "!", out; a text that starts with "!" needs quotes',
}

/** What is wrong with a text as YAML, in words that repeat nothing of it. */
export function yamlWords(code: string): string {
  return WORDS[code] ?? `is not YAML (${code.toLowerCase().replaceAll('_', ' ')}): quotes around a text often help`
}

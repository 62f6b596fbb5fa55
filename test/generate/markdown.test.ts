import { expect, test } from 'vitest'
import { anchor, code, prose, table } from '../../src/generate/markdown.ts'

test('a pipe does not end a cell, not even in code', () => {
  expect(table(['a'], [['`x|y` or\nz|']])).toBe('| a |\n| --- |\n| `x\\|y` or z\\| |')
})

test('outside of code nothing is markup', () => {
  expect(prose('*a* <b> [c] \\d `*e* <f>`')).toBe('\\*a\\* \\<b> \\[c\\] \\\\d `*e* <f>`')
})

test('code may hold a backtick', () => {
  expect(code('a')).toBe('`a`')
  expect(code('a`b')).toBe('`` a`b ``')
})

test('an anchor is the fragment that GitHub gives a heading', () => {
  expect(anchor('Grants and rules')).toBe('#grants-and-rules')
  expect(anchor('`client-credentials`')).toBe('#client-credentials')
})

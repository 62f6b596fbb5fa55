import { expect, test } from 'vitest'
import { amend } from '../../src/settings/amend.ts'

const PART = '# Why.\nallowlist:\n  - "b.test"\nconnections:\n  "b": { hosts: ["b.test"] }\ngrants: []\n'
const REPLACED = { isAddition: false }
const ADDED = { isAddition: true }

test('the lists are replaced, connections come beside, and comments stay', () => {
  const text =
    '# Ours.\nallowlist: [ a.test ] # gate 1\nconnections:\n  a: { hosts: [ a.test ] } # the one\nlog: { level: warn }\n'
  expect(amend(text, PART, REPLACED)).toBe(
    '# Why.\n# Ours.\nallowlist:\n  - "b.test"\nconnections:\n  a: { hosts: [ a.test ] } # the one\n  "b": { hosts: [ "b.test" ] }\nlog: { level: warn }\ngrants: []\n',
  )
})

test.each([
  ['a list', 'allowlist: [ a.test ]\n', 'allowlist: [ a.test, "b.test" ]'],
  [
    'a mode',
    'allowlist: { hosts: [ a.test ], mode: report }\n',
    'allowlist: { hosts: [ a.test, "b.test" ], mode: report }',
  ],
  ['a mode alone', 'allowlist: { mode: report }\n', 'allowlist: { mode: report, hosts: [ "b.test" ] }'],
  ['nothing', 'log: { level: warn }\n', 'allowlist:\n  - "b.test"'],
  ['no value', 'allowlist:\n', 'allowlist:\n  - "b.test"'],
])('what is added comes behind %s', (_what, text, expected) => {
  expect(amend(text, PART, ADDED)).toContain(expected)
})

test('what an alias refers to is not taken from under it', () => {
  const text = 'allowlist: &all [ a.test ]\nconnections: { a: { hosts: *all } }\n'
  expect(() => amend(text, PART, REPLACED)).toThrow('by an alias')
  expect(() => amend('x: &all [ a.test ]\nallowlist: *all\n', PART, ADDED)).toThrow('write it out')
  expect(() => amend('- a\n', PART, ADDED)).toThrow('use a settings file')
})

import { expect, test } from 'vitest'
import { callerLabels } from '../src/caller-label.ts'
import type { CallerSettings } from '../src/callers/registry.ts'
import { settingsSchema } from '../src/settings/schema.ts'

const settingsOf = (callers: object) =>
  settingsSchema.parse({ listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }], callers }).callers
const DECLARED = settingsOf({
  checkout: { kind: 'api-key', key: { file: 'checkout' } },
  people: {
    kind: 'jwt',
    issuer: 'https://login.example.com',
    audience: 'sallyport',
    name: 'person/{sub}',
  },
})
const stored = [{ name: 'reporting', createdAt: 0, createdBy: 'ops', keys: [] }]

test.each([
  ['checkout', 'checkout'],
  ['reporting', 'reporting'],
  // However many people there are, they are one series.
  ['person/ann', 'people'],
  ['person/bob', 'people'],
  ['gone', '(others)'],
  [undefined, '(unknown)'],
])('%s is called %s', (name, label) => {
  const { of: labelOf, has } = callerLabels(
    () => DECLARED,
    () => stored,
  )
  expect(labelOf(name)).toBe(label)
  expect(labelOf(name)).toBe(label)
  expect(has(label)).toBe(true)
})

test('names come and go with the store, and with the settings', () => {
  let declared: Readonly<Record<string, CallerSettings>> = DECLARED
  let inStore = stored
  const { of: labelOf, has } = callerLabels(
    () => declared,
    () => inStore,
  )
  expect([labelOf('reporting'), labelOf('person/ann')]).toEqual(['reporting', 'people'])
  expect(['reporting', 'people', 'checkout', 'person/ann'].map(has)).toEqual([true, true, true, false])
  inStore = []
  declared = settingsOf({ ann: { kind: 'api-key', key: { file: 'ann' } } })
  expect(['reporting', 'person/ann', 'checkout', 'ann'].map(labelOf)).toEqual([
    '(others)',
    '(others)',
    '(others)',
    'ann',
  ])
  expect(['reporting', 'people', 'checkout', 'ann', '(others)'].map(has)).toEqual([false, false, false, true, true])
})

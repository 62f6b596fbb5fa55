import { expect, test } from 'vitest'
import { didYouMean } from '../../src/forms/near.ts'

const KNOWN = ['bearer', 'header', 'basic', 'kind']

test.each([
  ['baerer', 'bearer'],
  ['Bearer', 'bearer'],
  ['beare', 'bearer'],
  ['hedaerr', 'header'],
  ['bassic', 'basic'],
  ['knid', 'kind'],
])('%s is near to %s', (word, meant) => {
  expect(didYouMean([word], KNOWN)).toBe(`did you mean "${meant}"? `)
})

test.each(['', 'k', 'in', 'bread', 'token', 'constructor', 'b'.repeat(10_000)])('%j is near to nothing', (word) => {
  expect(didYouMean([word], KNOWN)).toBe('')
})

test('several words are told at once, and what is no word is passed over', () => {
  expect(didYouMean(['baerer', 7, undefined, 'basik', 'bearr'], KNOWN)).toBe('did you mean "bearer" or "basic"? ')
})

import { expect, test } from 'vitest'
import type { Entry } from '../../src/audit/entry.ts'
import { Refusals } from '../../src/cli/refusals.ts'
import { problems } from '../../src/core/problems.ts'

/** As much of an entry as is looked at. */
function entry(host: string | undefined, code?: string, caller?: string): Entry {
  return { host, code, caller } as Entry
}

function heard(...entries: readonly Entry[]): Refusals {
  const refusals = new Refusals()
  for (const one of entries) refusals.take(one)
  return refusals
}

test('where nothing was refused there is nothing to say, not even where it is recorded', () => {
  expect(heard(entry('a.test', undefined, 'app')).lines('/a')).toEqual([])
})

test('what was refused often is said once, with a number', () => {
  const refusals = heard(...Array.from({ length: 3 }, () => entry('a.test', 'grant-missing', 'app')))
  expect(refusals.lines(undefined)).toEqual([
    `sallyport: refused 3 times: a.test, grant-missing: ${problems['grant-missing'].remedy}`,
  ])
})

test('there is an end to it, however many hosts a command tries', () => {
  const refusals = heard(...Array.from({ length: 30 }, (_, index) => entry(`h${index}.test`, 'host-not-allowed')))
  const lines = refusals.lines('/a')
  expect(lines).toHaveLength(10)
  expect(lines.slice(-2)).toEqual([
    'sallyport: and 22 more requests, for other hosts or reasons',
    'sallyport: recorded in /a',
  ])
})

test('a challenge that was answered is none, and one that was not is', () => {
  const challenge = entry('a.test', 'caller-unknown')
  expect(heard(challenge, entry('a.test', undefined, 'app')).lines('/a')).toEqual([])
  expect(heard(challenge, entry('b.test', undefined, 'app')).lines('/a')[0]).toContain('a.test, caller-unknown: Show')
})

test('a request that named no host, and one that named an odd one, do nothing to a terminal', () => {
  const [none, odd] = heard(entry(undefined, 'target-malformed'), entry('\u001b[2J', 'x-new')).lines(undefined)
  expect(none).toContain('refused: a request without a host, target-malformed: ')
  expect(odd).toBe('sallyport: refused: ?[2J, x-new')
})

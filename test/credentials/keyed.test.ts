import { expect, test } from 'vitest'
import { Secret } from '../../src/core/secret.ts'
import type { Credential } from '../../src/credentials/credential.ts'
import { KeyedSupply } from '../../src/credentials/keyed.ts'
import { purposeWith } from '../support/purpose.ts'

const credential: Credential = { secret: new Secret('t'), version: 'token 1', generation: 1 }

test('a caller with ever new keys takes what is kept from itself alone', async () => {
  const made = new Map<string, number>()
  const keyed = new KeyedSupply({
    keyOf: ({ path }) => path,
    supplyFor(key) {
      made.set(key, (made.get(key) ?? 0) + 1)
      return { obtain: () => credential, rejected: async () => undefined, state: () => ({ phase: 'held' }) }
    },
  })
  const ask = async (caller: string, path: string) => keyed.obtain({ ...purposeWith({ caller }), path })
  await ask('ann', 'of ann')
  for (let count = 0; count < 10_500; count++) await ask('greedy', `${count}`)
  await ask('ann', 'of ann')
  expect(made.get('of ann')).toBe(1)
  expect(keyed.state().separate).toBe(10_000)
  await ask('greedy', '0')
  await ask('greedy', '10499')
  expect([made.get('0'), made.get('10499')]).toEqual([2, 1])
})

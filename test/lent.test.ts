import { expect, test } from 'vitest'
import { Problem } from '../src/core/problem.ts'
import { Secret } from '../src/core/secret.ts'
import type { Credential } from '../src/credentials/credential.ts'
import type { Connection } from '../src/gate/snapshot.ts'
import { lent } from '../src/lent.ts'

const credential: Credential = { secret: new Secret('LT_CANARY'), version: 'secret 1', generation: 1 }

function connection(): Connection {
  const supply = {
    obtain: () => credential,
    rejected: async () => credential,
    state: () => ({ phase: 'held', separate: 2 }) as const,
    keyOf: () => 'key',
  }
  return { name: 'idp', supply } as unknown as Connection // nothing else of it is looked at
}

test('a connection lends its credential, and says whose it is', async () => {
  const supply = lent(connection(), () => false)
  expect(await supply.obtain()).toBe(credential)
  expect(supply.state()).toMatchObject({ separate: 2 })
})

test('one that is switched off lends nothing, and is still to be looked at', async () => {
  const supply = lent(connection(), (name) => name === 'idp')
  const problem = await Promise.resolve(supply.obtain()).catch((error: unknown) => error)
  expect(problem).toBeInstanceOf(Problem)
  expect(problem).toMatchObject({ code: 'credential-unavailable', reason: 'connection idp is switched off' })
  // It may be switched off between the two.
  expect(await supply.rejected(credential)).toBeUndefined()
  expect(supply.state()).toMatchObject({ separate: 2 })
})

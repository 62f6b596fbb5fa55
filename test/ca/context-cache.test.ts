import { createSecureContext } from 'node:tls'
import { expect, test } from 'vitest'
import { ContextCache } from '../../src/ca/context-cache.ts'

test('a host is made once for all who ask meanwhile', async () => {
  const { cache, made } = cacheOf()
  const [one, other] = await Promise.all([cache.get('a.test'), cache.get('a.test')])
  expect(one).toBe(other)
  expect(made).toEqual(['a.test'])
})

test('a failure reaches all who wait, and the next one tries again', async () => {
  const failures = [new Error('no entropy')]
  const { cache, made } = cacheOf({ failures })
  const waiting = await Promise.allSettled([cache.get('a.test'), cache.get('a.test')])
  expect(waiting.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  await expect(cache.get('a.test')).resolves.toBeDefined()
  expect(made).toEqual(['a.test', 'a.test'])
})

test('the one asked for longest ago goes first', async () => {
  const { cache, made } = cacheOf({ limit: 2 })
  for (const host of ['a.test', 'b.test', 'a.test', 'c.test', 'a.test', 'b.test']) await cache.get(host)
  expect(made).toEqual(['a.test', 'b.test', 'c.test', 'b.test'])
})

function cacheOf({ limit = 10, failures = [] as Error[] } = {}) {
  const made: string[] = []
  const cache = new ContextCache({
    limit,
    now: () => 50,
    async make(host) {
      made.push(host)
      const failure = failures.pop()
      if (failure) throw failure
      return { secure: createSecureContext(), from: 0, until: 100 }
    },
  })
  return { cache, made }
}

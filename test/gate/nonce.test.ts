import { expect, test } from 'vitest'
import { watchNonces } from '../../src/gate/nonce.ts'
import { DpopKey } from '../../src/oauth/dpop.ts'
import { HandClock } from '../support/hand-clock.ts'

const ORIGIN = 'https://api.test'
const DEMAND = ['WWW-Authenticate', 'DPoP error="use_dpop_nonce", error_description="x"']

function watch(known?: string) {
  const boundTo = new DpopKey(true, new HandClock())
  boundTo.learn(ORIGIN, known)
  const judge = watchNonces({ boundTo }, ORIGIN)
  return { judge: (status: number, fields: readonly string[]) => judge?.(status, fields), key: boundTo }
}

test('of a credential that is bound to nothing there is nothing to watch', () => {
  expect(watchNonces({}, ORIGIN)).toBe(undefined)
})

test.each<[string, number, readonly string[], boolean]>([
  ['a demand', 401, [...DEMAND, 'DPoP-Nonce', 'n'], true],
  [
    'a demand behind another challenge',
    401,
    ['www-authenticate', 'Bearer, dpop error=use_dpop_nonce', 'dpop-nonce', 'n'],
    true,
  ],
  ['a demand without a nonce', 401, DEMAND, false],
  ['a demand with two', 401, [...DEMAND, 'DPoP-Nonce', 'n', 'DPoP-Nonce', 'm'], false],
  ['a demand with none that can be used', 401, [...DEMAND, 'DPoP-Nonce', 'a b'], false],
  ['a token that is refused', 401, ['WWW-Authenticate', 'DPoP error="invalid_token"', 'DPoP-Nonce', 'n'], false],
  ['another scheme', 401, ['WWW-Authenticate', 'Bearer error="use_dpop_nonce"', 'DPoP-Nonce', 'n'], false],
  ['another status', 400, [...DEMAND, 'DPoP-Nonce', 'n'], false],
])('%s', (_what, status, fields, isDemand) => {
  expect(watch().judge(status, fields)).toBe(isDemand)
})

test('a nonce is kept of every answer', () => {
  const { judge, key } = watch('n-1')
  judge(200, ['DPoP-Nonce', 'n-2'])
  expect(key.nonceFor(ORIGIN)).toBe('n-2')
})

test('whoever asks for what it has just been given is not asked again', () => {
  expect(watch('n').judge(401, [...DEMAND, 'DPoP-Nonce', 'n'])).toBe(false)
})

test('two that were under way without a nonce both have it when they are sent again', () => {
  const boundTo = new DpopKey(true, new HandClock())
  const [first, second] = [watchNonces({ boundTo }, ORIGIN), watchNonces({ boundTo }, ORIGIN)]
  const fields = [...DEMAND, 'DPoP-Nonce', 'n']
  expect([first?.(401, fields), second?.(401, fields)]).toEqual([true, true])
})

import { expect, test } from 'vitest'
import { Problem } from '../../src/core/problem.ts'
import { passing, settled } from '../support/hand-mint.ts'
import { HOUR, setUpFresh, textOf } from '../support/minted-supply.ts'

test('all who were rejected share one mint, and get its token', async () => {
  const { supply, issuer, credential } = await setUpFresh()
  const waiting = Promise.all(Array.from({ length: 20 }, () => supply.rejected(credential)))
  await settled()
  await issuer.land('second', HOUR)
  expect((await waiting).map(textOf)).toEqual(Array.from({ length: 20 }, () => 'second'))
  expect(issuer.calls).toBe(2)
})

test('one that is no longer current costs nothing: the current one is the answer', async () => {
  const { supply, issuer, credential } = await setUpFresh()
  const waiting = supply.rejected(credential)
  await issuer.land('second', HOUR)
  await waiting
  expect(textOf(await supply.rejected(credential))).toBe('second')
  expect(issuer.calls).toBe(2)
})

test('an upstream that always says 401 causes one mint in ten seconds, and the token stays for the others', async () => {
  const { supply, issuer, credential, clock } = await setUpFresh()
  const waiting = supply.rejected(credential)
  await issuer.land('second', HOUR)
  const second = await waiting
  expect(second && (await supply.rejected(second))).toBeUndefined()
  expect(textOf(supply.obtain())).toBe('second')
  clock.advance(9_999)
  expect(second && (await supply.rejected(second))).toBeUndefined()
  expect(issuer.calls).toBe(2)
  clock.advance(1)
  void (second && supply.rejected(second))
  expect(issuer.calls).toBe(3)
})

test('a rejected token is gone while another is minted, and back for all others when none can be had', async () => {
  const { supply, issuer, credential } = await setUpFresh()
  const waiting = supply.rejected(credential)
  expect(supply.obtain()).toBeInstanceOf(Promise)
  await issuer.crash(passing())
  expect(await waiting).toBeUndefined()
  expect(textOf(supply.obtain())).toBe('first')
})

test.each([false, true])(
  'who has to log in is told so, and not given what was rejected (known before: %s)',
  async (isKnown) => {
    const { supply, issuer, credential, clock } = await setUpFresh()
    const gone = new Problem('login-required', { reason: 'the login is taken no more' })
    if (isKnown) {
      clock.advance(0.8 * HOUR)
      expect(textOf(supply.obtain())).toBe('first')
      await issuer.crash(gone)
      expect(textOf(supply.obtain())).toBe('first')
    }
    const waiting = supply.rejected(credential)
    if (!isKnown) await issuer.crash(gone)
    expect(await waiting).toBeUndefined()
    await expect(supply.obtain()).rejects.toMatchObject({ code: 'login-required' })
  },
)

test('what is put back is not used past its expiry', async () => {
  const { supply, issuer, credential, clock } = await setUpFresh()
  const waiting = supply.rejected(credential)
  clock.advance(HOUR)
  await issuer.crash(passing())
  expect(await waiting).toBeUndefined()
  await expect(supply.obtain()).rejects.toMatchObject({ code: 'credential-unavailable' })
})

test('a rejection takes nothing away while the issuer is being left alone', async () => {
  const { supply, issuer, credential, clock } = await setUpFresh()
  clock.advance(0.8 * HOUR)
  void supply.obtain()
  await issuer.crash(passing(60))
  expect(await supply.rejected(credential)).toBeUndefined()
  expect(textOf(supply.obtain())).toBe('first')
})

test('a refresh that is under way serves the rejected too', async () => {
  const { supply, issuer, credential, clock } = await setUpFresh()
  clock.advance(0.8 * HOUR)
  void supply.obtain()
  const waiting = supply.rejected(credential)
  await issuer.land('second', HOUR)
  expect(textOf(await waiting)).toBe('second')
  expect(issuer.calls).toBe(2)
})

test('the very same token, minted once more, is nothing to replay with', async () => {
  const { supply, issuer, credential } = await setUpFresh('same')
  const waiting = supply.rejected(credential)
  await issuer.land('same', HOUR)
  expect(await waiting).toBeUndefined()
})

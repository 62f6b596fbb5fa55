import { expect, test } from 'vitest'
import { ephemeralAuthority } from '../../src/ca/authority.ts'
import { heldUpMs } from '../support/own-time.ts'

const TERMS = { hosts: ['*.files.test'], now: Date.now }

test('F09: five hundred new names at once leave the event loop free', async () => {
  const authority = await ephemeralAuthority(TERMS)
  await authority.contextFor('warm.files.test')
  const held = await heldUpMs(() =>
    Promise.all(Array.from({ length: 500 }, (_, n) => authority.contextFor(`h${n}.files.test`))),
  )
  expect(held.length).toBeGreaterThan(20)
  expect(held[Math.floor(held.length * 0.99)]).toBeLessThan(50)
})

test('F09: a new host costs less than 30 ms', async () => {
  const authority = await ephemeralAuthority(TERMS)
  const costs: number[] = []
  for (let n = 0; n < 21; n++) {
    // Of every thread: a signature is made in another one.
    const start = process.cpuUsage()
    await authority.contextFor(`h${n}.files.test`)
    const { user, system } = process.cpuUsage(start)
    costs.push((user + system) / 1000)
  }
  // The middle one: in others there is a garbage collection.
  expect(costs.toSorted((one, other) => one - other)[10]).toBeLessThan(30)
})

test('F09: of more names than five hundred, those asked for last are kept', async () => {
  const authority = await ephemeralAuthority(TERMS)
  const first = await authority.contextFor('first.files.test')
  const second = await authority.contextFor('second.files.test')
  const rest = Array.from({ length: 498 }, (_, n) => `h${n}.files.test`)
  await Promise.all(rest.map((host) => authority.contextFor(host)))
  expect(await authority.contextFor('first.files.test')).toBe(first)
  await authority.contextFor('one-more.files.test')
  expect(await authority.contextFor('first.files.test')).toBe(first)
  expect(await authority.contextFor('second.files.test')).not.toBe(second)
})

import { describe, expect, test } from 'vitest'
import type { KeySet } from '../../src/callers/jwks.ts'
import { FileKeys, RemoteKeys } from '../../src/callers/jwks-source.ts'
import { HandClock } from '../support/hand-clock.ts'
import { jwksOf, makeSigningKey } from '../support/tokens.ts'

const REFRESH_MS = 600_000
const MAX_AGE_MS = 3_600_000

/** Keys from an issuer whose answers a test gives one by one. */
function remote() {
  const clock = new HandClock()
  const faults: string[] = []
  const asked: PromiseWithResolvers<KeySet>[] = []
  const source = new RemoteKeys({
    clock,
    refreshMs: REFRESH_MS,
    maxAgeMs: MAX_AGE_MS,
    fetch() {
      const flight = Promise.withResolvers<KeySet>()
      asked.push(flight)
      return flight.promise
    },
    onFault: (reason) => faults.push(reason),
  })
  return { clock, faults, asked, source }
}

function keys(): KeySet {
  return { keys: [], holds: () => true }
}

type Remote = ReturnType<typeof remote>

/** With keys that were fetched just now. */
async function fresh() {
  const scene = remote()
  const first = keys()
  const current = scene.source.current()
  scene.asked[0]?.resolve(first)
  expect(await current).toBe(first)
  return { ...scene, first }
}

/** One attempt that fails. */
async function fail({ source, asked }: Remote): Promise<void> {
  const current = Promise.resolve(source.current()).catch(() => undefined)
  asked.at(-1)?.reject(new Error('down'))
  await current
  // What failed in the background is noted a few turns later.
  await new Promise((resolve) => setImmediate(resolve))
}

describe('keys of an issuer', () => {
  test('are fetched by the first who needs them, once for all who wait, and are there at once afterwards', async () => {
    const { source, asked } = remote()
    const all = Array.from({ length: 3 }, async () => source.current())
    const first = keys()
    asked[0]?.resolve(first)
    expect(await Promise.all(all)).toEqual([first, first, first])
    expect(asked).toHaveLength(1)
    expect(source.current()).toBe(first)
  })

  test('are fetched in the background from four fifths of their age on', async () => {
    const { source, asked, clock, first } = await fresh()
    clock.advance(REFRESH_MS * 0.8)
    expect(source.current()).toBe(first)
    expect(source.current()).toBe(first)
    expect(asked).toHaveLength(2)
    const second = keys()
    asked[1]?.resolve(second)
    await asked[1]?.promise
    await new Promise((resolve) => setImmediate(resolve))
    expect(source.current()).toBe(second)
  })

  test('are waited for once they are late, so that what was withdrawn is judged by no more', async () => {
    const { source, asked, clock } = await fresh()
    clock.advance(REFRESH_MS)
    const current = source.current()
    const second = keys()
    asked[1]?.resolve(second)
    expect(await current).toBe(second)
  })

  test('serve while the issuer is down, until their greatest age, and nobody waits for it', async () => {
    const scene = await fresh()
    const { source, clock, first, faults } = scene
    clock.advance(REFRESH_MS)
    await fail(scene)
    expect(source.current()).toBe(first)
    clock.advance(MAX_AGE_MS - REFRESH_MS - 1)
    expect(source.current()).toBe(first)
    await fail(scene)
    expect(source.current()).toBe(first)
    clock.advance(1)
    await expect(async () => source.current()).rejects.toThrow('down')
    expect(faults).toEqual(['down'])
  })

  test('that never came are asked for again after a pause that doubles, up to a minute', async () => {
    const scene = remote()
    const { source, clock, asked } = scene
    await fail(scene)
    for (const pause of [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]) {
      const before = asked.length
      clock.advance(pause - 1)
      await expect(async () => source.current()).rejects.toThrow('down')
      expect(asked).toHaveLength(before)
      clock.advance(1)
      await fail(scene)
      expect(asked).toHaveLength(before + 1)
    }
  })

  test('are told to be back by serving, and told again when they fail again', async () => {
    const scene = await fresh()
    const { clock, faults, asked, source } = scene
    clock.advance(REFRESH_MS)
    await fail(scene)
    clock.advance(60_000)
    void source.current()
    asked.at(-1)?.resolve(keys())
    await asked.at(-1)?.promise
    await new Promise((resolve) => setImmediate(resolve))
    clock.advance(REFRESH_MS)
    await fail(scene)
    expect(faults).toEqual(['down', 'down'])
  })

  test('are looked for at once when a kid is not among them, and then not for ten seconds', async () => {
    const { source, asked, clock } = await fresh()
    const renewed = source.renewed()
    asked[1]?.resolve(keys())
    await renewed
    expect(source.renewed()).toBeUndefined()
    clock.advance(9_999)
    expect(source.renewed()).toBeUndefined()
    clock.advance(1)
    expect(source.renewed()).toBeInstanceOf(Promise)
    expect(source.renewed()).toBeInstanceOf(Promise)
    expect(asked).toHaveLength(3)
  })

  test.each([
    ['back', -3_600_000],
    ['forward', 3_600_000 * 24],
  ])('are no younger for a wall clock that is set %s', async (_how, ms) => {
    const { source, clock } = await fresh()
    clock.jumpWall(ms)
    clock.advance(REFRESH_MS)
    expect(source.current()).toBeInstanceOf(Promise)
  })
})

test('keys of a file are read again when its text is another', async () => {
  const [one, other] = [await makeSigningKey('ES256', 'one'), await makeSigningKey('ES256', 'other')]
  let text = jwksOf(one)
  const source = new FileKeys(() => text)
  const first = source.current()
  expect(source.current()).toBe(first)
  text = jwksOf(other)
  expect(source.current().keys.map(({ kid }) => kid)).toEqual(['other'])
  expect(source.renewed()).toBeUndefined()
})

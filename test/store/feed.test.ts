import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { Feed } from '../../src/store/feed.ts'
import { HandClock } from '../support/hand-clock.ts'
import { until } from '../support/stores.ts'

let clock: HandClock
let looks: number
let faults: string[]
let healed: number
let look: () => Promise<void>

beforeEach(() => {
  clock = new HandClock()
  looks = 0
  faults = []
  healed = 0
  look = async () => undefined
})

function follow(pollMs: number): Feed {
  const feed = new Feed(
    {
      pollMs,
      clock,
      random: () => 0,
      async catchUp() {
        looks++
        await look()
      },
      wordsOf: (error) => (error as Error).message,
      onFault: (message) => faults.push(message),
      onHealed: () => healed++,
    },
    clock.monotonic(),
  )
  onTestFinished(() => feed.close())
  return feed
}

test('confirms what was known when it began to ask, not when it was answered', async () => {
  const feed = follow(10)
  const before = clock.monotonic()
  const second = Promise.withResolvers<void>()
  look = async () => {
    clock.advance(50)
    if (looks === 2) await second.promise
  }
  await until(() => looks === 2)
  expect(feed.confirmedAt()).toBe(before)
  second.resolve()
  await until(() => feed.confirmedAt() > before)
})

test('looks at once when it is told, and once more when it is told while it looks', async () => {
  let answer: () => void = () => undefined
  look = () => new Promise((resolve) => (answer = resolve))
  const feed = follow(60_000)
  feed.hint()
  await until(() => looks === 1)
  feed.hint()
  feed.hint()
  answer()
  await until(() => looks === 2)
  answer()
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(looks).toBe(2)
})

test('stands still while it fails, says so once for each cause, and goes on when it is over', async () => {
  const feed = follow(10)
  const before = feed.confirmedAt()
  look = async () => {
    throw new Error(looks < 3 ? 'gone' : 'still gone, otherwise')
  }
  await until(() => looks >= 4)
  clock.advance(1_000)
  expect([feed.confirmedAt(), faults]).toEqual([before, ['gone', 'still gone, otherwise']])
  expect(feed.state()).toEqual({ phase: 'lost', fault: 'still gone, otherwise' })
  look = async () => undefined
  await until(() => feed.state().phase === 'confirmed')
  expect([feed.confirmedAt(), healed]).toEqual([before + 1_000, 1])
  look = async () => {
    throw new Error('gone')
  }
  await until(() => faults.length === 3)
})

test('waits longer after each failure, and is not hurried by hints', async () => {
  const lookedAt: number[] = []
  look = async () => {
    lookedAt.push(performance.now())
    throw new Error('gone')
  }
  const feed = follow(1)
  await until(() => looks >= 3)
  feed.hint()
  await until(() => looks >= 4)
  // A quarter of 800 ms, when chance says the least.
  const [third = 0, fourth = 0] = lookedAt.slice(2)
  expect(fourth - third).toBeGreaterThan(100)
})

test('looks no more once it is closed', async () => {
  const feed = follow(1)
  await until(() => looks > 2)
  await feed.close()
  const after = looks
  feed.hint()
  await new Promise((resolve) => setTimeout(resolve, 30))
  expect(looks).toBe(after)
})

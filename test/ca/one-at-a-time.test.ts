import { expect, test } from 'vitest'
import { oneAtATime } from '../../src/ca/one-at-a-time.ts'

test('the next piece starts when the one before has ended, well or not', async () => {
  const inTurn = oneAtATime()
  const steps: string[] = []
  const piece = (name: string, failure?: Error) => async () => {
    steps.push(`${name} starts`)
    await new Promise((resolve) => setImmediate(resolve))
    steps.push(`${name} ends`)
    if (failure) throw failure
    return name
  }
  const ended = await Promise.allSettled([inTurn(piece('a')), inTurn(piece('b', new Error('b'))), inTurn(piece('c'))])
  expect(ended.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  expect(steps).toEqual(['a starts', 'a ends', 'b starts', 'b ends', 'c starts', 'c ends'])
})

test('the event loop goes round between two pieces', async () => {
  const inTurn = oneAtATime()
  let turns = 0
  let isOver = false
  const turn = () => {
    turns++
    if (!isOver) setImmediate(turn)
  }
  setImmediate(turn)
  await Promise.all(Array.from({ length: 50 }, () => inTurn(async () => undefined)))
  isOver = true
  expect(turns).toBeGreaterThanOrEqual(49)
})

import { expect, test } from 'vitest'
import { Sampler } from '../../src/tracing/sampler.ts'
import { newSpanId, newTraceId } from '../../src/tracing/span.ts'
import { HandClock } from '../support/hand-clock.ts'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'

function sampler(terms: Partial<ConstructorParameters<typeof Sampler>[0]> = {}) {
  const clock = new HandClock()
  const made = new Sampler({ ratio: 1, callers: 'follow', maxPerSecond: 1000, ...terms }, clock)
  const choose = (candidate: Partial<Parameters<typeof made.choose>[0]> = {}) =>
    made.choose({ traceId, isParentSampled: undefined, caller: 'app', ...candidate })
  return { choose, clock }
}

test.each([
  { ratio: 0, callers: 'follow', parent: undefined, expected: 'no' },
  { ratio: 1, callers: 'follow', parent: undefined, expected: 'yes' },
  { ratio: 0, callers: 'follow', parent: true, expected: 'yes' },
  { ratio: 1, callers: 'follow', parent: false, expected: 'no' },
  { ratio: 0, callers: 'ignore', parent: true, expected: 'no' },
  { ratio: 1, callers: 'ignore', parent: false, expected: 'yes' },
] as const)('ratio $ratio, $callers, a caller that says $parent: $expected', ({ ratio, callers, parent, expected }) => {
  expect(sampler({ ratio, callers }).choose({ isParentSampled: parent })).toBe(expected)
})

test('no id gets past a ratio of nothing', () => {
  expect(sampler({ ratio: 0 }).choose({ traceId: 'f'.repeat(32) })).toBe('no')
})

test('a ratio is that of the ids, and the same for each of them', () => {
  const { choose } = sampler({ ratio: 0.25, maxPerSecond: 100_000 })
  const ids = Array.from({ length: 10_000 }, newTraceId)
  const chosen = ids.filter((id) => choose({ traceId: id }) === 'yes')
  expect(chosen.length).toBeGreaterThan(2_200)
  expect(chosen.length).toBeLessThan(2_800)
  expect(chosen.every((id) => choose({ traceId: id }) === 'yes')).toBe(true)
})

test('a caller that records everything is bounded, and takes nothing from another', () => {
  const { choose, clock } = sampler({ maxPerSecond: 10 })
  const asked = Array.from({ length: 1000 }, () => choose({ isParentSampled: true }))
  expect(asked.filter((one) => one === 'yes')).toHaveLength(10)
  expect(asked.filter((one) => one === 'over')).toHaveLength(990)
  expect(choose({ caller: 'other' })).toBe('yes')
  expect(choose({ caller: undefined })).toBe('yes')
  clock.advance(500)
  expect(Array.from({ length: 100 }, () => choose()).filter((one) => one === 'yes')).toHaveLength(5)
  clock.advance(3_600_000)
  expect(Array.from({ length: 100 }, () => choose()).filter((one) => one === 'yes')).toHaveLength(10)
})

test('callers without number cost no memory without bound', () => {
  const { choose } = sampler({ maxPerSecond: 1 })
  expect(choose({ caller: 'first' })).toBe('yes')
  for (let at = 0; at < 5000; at++) choose({ caller: `caller ${at}` })
  // Its budget has been forgotten, and begins anew.
  expect(choose({ caller: 'first' })).toBe('yes')
})

test('ids are of their length, and never twice', () => {
  const traces = Array.from({ length: 5000 }, newTraceId)
  const spans = Array.from({ length: 5000 }, newSpanId)
  expect(traces.every((id) => /^[0-9a-f]{32}$/.test(id))).toBe(true)
  expect(spans.every((id) => /^[0-9a-f]{16}$/.test(id))).toBe(true)
  expect(new Set([...traces, ...spans]).size).toBe(10_000)
})

import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Caller, Evidence } from '../../src/core/ask.ts'
import type { Policy } from '../../src/core/policy.ts'
import type { Problem } from '../../src/core/problem.ts'
import type { Refusal } from '../../src/core/refusal.ts'
import type { Snapshot } from '../../src/gate/snapshot.ts'
import type { Decided, Stay } from '../../src/gate/stay.ts'
import { UnderWay } from '../../src/gate/under-way.ts'
import { HandClock } from '../support/hand-clock.ts'
import { eventually } from '../support/sallyport.ts'

const EVIDENCE: Evidence = { keys: [], keysAre: 'certain' }
const REFUSED: Refusal = { permitted: false, code: 'grant-missing', reason: 'revoked' }

/** A yes to a tunnel that passes unopened; only its end matters here. */
function yes(name: string, until?: number): Decided {
  return {
    permitted: true,
    caller: { name, method: 'api-key' },
    connection: 'crm',
    host: 'api.test',
    port: 443,
    grant: 'g',
    until,
    tls: 'pass',
    plain: false,
    reason: 'granted',
  }
}

/** What is under way, and a policy that is no more than the ends of the callers' grants. */
function stage(clock = new HandClock()) {
  const ends = new Map<string, number>()
  const unknown = new Set<string>()
  const faults: unknown[] = []
  const recognize = (caller: Caller) => (unknown.has(caller.name) ? undefined : caller)
  // No more of a snapshot is looked at.
  const snapshot = { policy: {} as Policy, recognize } as unknown as Snapshot
  const underWay = new UnderWay({ clock, snapshot: () => snapshot, onFault: (error) => faults.push(error) })
  const decide = ({ name }: Caller, at: number) => {
    const end = ends.get(name)
    return end === undefined || at >= end ? REFUSED : yes(name, Number.isFinite(end) ? end : undefined)
  }
  const begin = (name: string, onCut: (problem: Problem) => void = () => undefined): Stay => {
    const end = ends.get(name)
    const stay = underWay.begin({ evidence: EVIDENCE, decide }, yes(name, Number.isFinite(end) ? end : undefined))
    stay.onCut(onCut)
    return stay
  }
  return { clock, ends, unknown, faults, underWay, begin }
}

describe('a change of the policy', () => {
  test('cuts in the same turn what would be refused now, and tells why', () => {
    const { ends, underWay, begin } = stage()
    ends.set('kept', Number.POSITIVE_INFINITY).set('revoked', Number.POSITIVE_INFINITY)
    const problems: Problem[] = []
    const [kept, revoked] = [begin('kept'), begin('revoked', (problem) => problems.push(problem))]
    ends.delete('revoked')
    underWay.policyChanged()
    expect([kept.isCut, revoked.isCut]).toEqual([false, true])
    expect(problems).toMatchObject([{ code: 'access-revoked', reason: 'grant-missing: revoked' }])
    expect(() => revoked.check()).toThrow('access-revoked')
  })

  test('cuts what a caller began that is nobody any more', () => {
    const { ends, unknown, underWay, begin } = stage()
    ends.set('deleted', Number.POSITIVE_INFINITY)
    const stay = begin('deleted')
    unknown.add('deleted')
    underWay.policyChanged()
    expect(() => stay.check()).toThrow('caller-unknown: deleted is not known any more')
  })

  test('leaves alone what is over', () => {
    const { ends, underWay, begin } = stage()
    const stay = begin('over')
    underWay.end(stay)
    ends.clear()
    underWay.policyChanged()
    expect([stay.isCut, underWay.size]).toEqual([false, 0])
  })

  test('cuts the others when one cannot be cut', () => {
    const { underWay, faults, begin } = stage()
    const fault = new Error('a socket of a kind that nobody foresaw')
    begin('first', () => {
      throw fault
    })
    const second = begin('second')
    underWay.policyChanged()
    expect([second.isCut, faults]).toEqual([true, [fault]])
  })

  test('tells a listener that comes too late at once', () => {
    const { underWay, begin } = stage()
    const stay = begin('revoked')
    underWay.policyChanged()
    const told: string[] = []
    stay.onCut(({ code }) => told.push(code))
    expect(told).toEqual(['access-revoked'])
  })
})

describe('with 10 000 things under way', () => {
  test('all are cut, and none but a part of them in one turn of the loop', async () => {
    const { ends, underWay, begin } = stage()
    ends.set('many', Number.POSITIVE_INFINITY)
    const stays = Array.from({ length: 10_000 }, () => begin('many'))
    ends.delete('many')
    const cut = () => stays.filter(({ isCut }) => isCut).length
    underWay.policyChanged()
    const counts = [cut()]
    for (let turn = 1; turn < 12; turn++) {
      await new Promise((resolve) => setImmediate(resolve))
      counts.push(cut())
    }
    expect(counts[0]).toBe(1_000)
    expect(counts.at(-1)).toBe(10_000)
    const steps = counts.map((count, at) => count - (counts[at - 1] ?? 0))
    expect(Math.max(...steps)).toBeLessThanOrEqual(2_000)
  })

  test('a change with every turn of the loop starves none of them', async () => {
    const { ends, underWay, begin } = stage()
    ends.set('many', Number.POSITIVE_INFINITY)
    const stays = Array.from({ length: 10_000 }, () => begin('many'))
    underWay.policyChanged()
    ends.delete('many')
    for (let turn = 0; turn < 30; turn++) {
      underWay.policyChanged()
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(stays.filter(({ isCut }) => !isCut)).toEqual([])
  })
})

describe('the end of a grant', () => {
  test('H03: cuts although somebody has set the clock back by an hour', async () => {
    const { clock, ends, begin } = stage()
    ends.set('app', clock.now() + 20)
    const stay = begin('app')
    clock.advance(10)
    clock.jumpWall(-3_600_000)
    clock.advance(10)
    await eventually(() => stay.isCut || undefined, 'the cut')
    expect(() => stay.check()).toThrow('access-revoked')
  })

  test('H03: comes early when somebody sets the clock ahead by an hour', async () => {
    const { clock, ends, begin } = stage()
    ends.set('app', clock.now() + 3_600_000)
    const stay = begin('app')
    clock.jumpWall(3_600_000)
    await eventually(() => stay.isCut || undefined, 'the cut', 2_000)
  })

  test('is no end for one that a longer grant has taken up meanwhile', async () => {
    const { clock, ends, underWay, begin } = stage()
    ends.set('app', clock.now() + 20).set('other', clock.now() + 20)
    const [stay, other] = [begin('app'), begin('other')]
    ends.set('app', Number.POSITIVE_INFINITY)
    clock.advance(20)
    await eventually(() => other.isCut || undefined, 'the cut of the other')
    expect([stay.isCut, underWay.size]).toEqual([false, 2])
  })

  test('which is a century away, costs no timer that overflows', async () => {
    const { clock, ends, begin } = stage()
    ends.set('app', clock.now() + 100 * 366 * 86_400_000)
    const stay = begin('app')
    await new Promise((resolve) => setTimeout(resolve, 30))
    expect(stay.isCut).toBe(false)
  })
})

test('after any story exactly that is cut which was under way and refused at a change', () => {
  const name = fc.constantFrom('a', 'b', 'c')
  const step = fc.oneof(
    fc.record({ do: fc.constant('begin' as const), name }),
    fc.record({ do: fc.constant('end' as const), nth: fc.nat(20) }),
    fc.record({ do: fc.constant('grant' as const), name }),
    fc.record({ do: fc.constant('revoke' as const), name }),
    fc.record({ do: fc.constant('forget' as const), name }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const { ends, unknown, underWay, begin } = stage()
      const all: { stay: Stay; name: string; isOver: boolean; isCut: boolean }[] = []
      for (const one of steps) {
        if (one.do === 'begin') all.push({ stay: begin(one.name), name: one.name, isOver: false, isCut: false })
        else if (one.do === 'end') {
          const going = all[one.nth]
          if (going) underWay.end(going.stay)
          if (going) going.isOver = true
        } else {
          if (one.do === 'grant') ends.set(one.name, Number.POSITIVE_INFINITY)
          else if (one.do === 'revoke') ends.delete(one.name)
          else unknown.add(one.name)
          underWay.policyChanged()
          for (const going of all) going.isCut ||= !going.isOver && (unknown.has(going.name) || !ends.has(going.name))
        }
      }
      expect(all.map(({ stay }) => stay.isCut)).toEqual(all.map(({ isCut }) => isCut))
      expect(underWay.size).toBe(all.filter(({ isOver }) => !isOver).length)
    }),
  )
})

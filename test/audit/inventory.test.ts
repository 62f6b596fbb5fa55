import { expect, test } from 'vitest'
import { type Facts, inventoryOf } from '../../src/audit/inventory.ts'

const DAY = 86_400_000
const NOW = 400 * DAY

function factsWith(changes: Partial<Facts> = {}): Facts {
  const connection = { name: 'crm', source: 'static', secrets: ['file:secrets/crm'], isDisabled: false }
  const usage = { caller: 'checkout', connection: 'crm', grant: 'grants[0]', count: 3, lastAt: NOW - DAY }
  return {
    grants: [{ id: 'grants[0]', holder: { caller: 'checkout' }, connection: 'crm', source: 'declared' }],
    connections: [connection],
    secrets: [{ name: 'file:secrets/crm', since: NOW - 100 * DAY }],
    usage: [usage],
    usageSince: NOW - 30 * DAY,
    now: NOW,
    oldAfterMs: 90 * DAY,
    ...changes,
  }
}

test('says who holds a connection, who used it, and when last', () => {
  expect(inventoryOf(factsWith()).holdings).toMatchObject([
    { holderName: 'checkout', connection: 'crm', count: 3, lastAt: NOW - DAY, isUnused: false, isExpired: false },
  ])
})

test('of a group it says which of its callers used the grant, the last one first', () => {
  const of = (caller: string, lastAt: number) => ({ caller, connection: 'crm', grant: 'g1', count: 2, lastAt })
  const grants = [{ id: 'g1', holder: { group: 'sales' }, connection: 'crm', source: 'stored' as const, createdAt: 1 }]
  const [holding] = inventoryOf(factsWith({ grants, usage: [of('ann', NOW - 9), of('bob', NOW - 1)] })).holdings
  expect(holding).toMatchObject({ holderName: 'group:sales', count: 4, lastAt: NOW - 1 })
  expect(holding?.usedBy.map(({ caller }) => caller)).toEqual(['bob', 'ann'])
})

test.each([
  ['nobody used it', {}, true],
  ['it is younger than the time that is looked at', { createdAt: NOW - DAY }, false],
  ['another grant was used', { id: 'grants[1]' }, true],
  ['its place was that of another caller', { holder: { caller: 'mobile' } }, true],
])('whether a grant is unused when %s', (what, change, isUnused) => {
  const [grant] = factsWith().grants
  const facts = factsWith(what === 'nobody used it' || 'createdAt' in change ? { usage: [] } : {})
  const grants = grant ? [{ ...grant, ...change }] : []
  expect(inventoryOf({ ...facts, grants }).holdings[0]).toMatchObject({ isUnused })
})

test('a grant is expired from its very millisecond on', () => {
  const [grant] = factsWith().grants
  const grants = [NOW, NOW + 1].flatMap((until) => (grant ? [{ ...grant, until }] : []))
  expect(inventoryOf(factsWith({ grants })).holdings.map(({ isExpired }) => isExpired)).toEqual([true, false])
})

test('tells the age of each long-lived secret, and flags what is old or goes upstream as it is', () => {
  expect(inventoryOf(factsWith()).secrets).toEqual([
    {
      name: 'file:secrets/crm',
      connections: ['crm'],
      ageMs: 100 * DAY,
      isOld: true,
      isStatic: true,
      lastAt: NOW - DAY,
    },
  ])
})

test('one secret behind several connections is one, and of what nobody knows no age is told', () => {
  const of = (name: string, source: string, ...secrets: string[]) => ({ name, source, secrets, isDisabled: false })
  const connections = [of('a', 'client-credentials', 'crm'), of('b', 'client-credentials', 'crm'), of('c', 'none')]
  expect(inventoryOf(factsWith({ connections, secrets: [{ name: 'crm', since: undefined }] })).secrets).toEqual([
    { name: 'crm', connections: ['a', 'b'], ageMs: undefined, isOld: false, isStatic: false, lastAt: undefined },
  ])
})

test('of two secrets behind one connection each is one', () => {
  const connection = { name: 'a', source: 'client-credentials', secrets: ['current', 'next'], isDisabled: false }
  expect(inventoryOf(factsWith({ connections: [connection], secrets: [] })).secrets).toMatchObject([
    { name: 'current', connections: ['a'] },
    { name: 'next', connections: ['a'] },
  ])
})

import { networkInterfaces } from 'node:os'
import { expect, test } from 'vitest'
import { canonicalAddress } from '../../src/wire/address.ts'
import { OwnListeners } from '../../src/wire/own-listeners.ts'

function listening(...addresses: string[]): OwnListeners {
  const own = new OwnListeners()
  for (const address of addresses) own.add(address)
  return own
}

test.each([
  ['127.0.0.1:15090', '127.0.0.1'],
  ['127.0.0.1:15090', '127.0.0.2'],
  ['127.0.0.1:15090', '127.255.255.254'],
  ['127.0.0.1:15090', '::1'],
  ['127.0.0.1:15090', canonicalAddress('::ffff:127.0.0.1')],
  ['127.0.0.1:15090', canonicalAddress('::ffff:7f00:1')],
  ['127.0.0.1:15090', '0.0.0.0'],
  ['127.0.0.1:15090', '0.0.0.1'],
  ['127.0.0.1:15090', '::'],
  ['[::1]:15090', '127.0.0.1'],
  ['[::1]:15090', canonicalAddress('0:0:0:0:0:0:0:1')],
  ['0.0.0.0:15090', '127.0.0.1'],
  ['[::]:15090', '::1'],
  ['10.1.2.3:15090', '10.1.2.3'],
])('who listens at %s is reached at %s', (own, address) => {
  expect(listening(own).has(address, 15090)).toBe(true)
  expect(listening(own).has(address, 15091)).toBe(false)
  expect(listening(own).has(address, 5090)).toBe(false)
})

test('who listens everywhere is reached at every address of the machine', () => {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  expect(all.length).toBeGreaterThan(0)
  for (const { address } of all) expect(listening('0.0.0.0:1').has(canonicalAddress(address), 1)).toBe(true)
})

test.each([
  ['127.0.0.1:15090', '10.0.0.7'],
  ['127.0.0.1:15090', '203.0.113.7'],
  ['10.1.2.3:15090', '10.1.2.4'],
  ['0.0.0.0:15090', '203.0.113.7'],
  ['unix:/run/x:15090', '127.0.0.1'],
])('who listens at %s is not reached at %s', (own, address) => {
  expect(listening(own).has(address, 15090)).toBe(false)
})

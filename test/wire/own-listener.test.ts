import { networkInterfaces } from 'node:os'
import { expect, test } from 'vitest'
import { isOwnListener } from '../../src/wire/own-listener.ts'

const DOORS = ['127.0.0.1:15001', 'unix:/run/x.sock', '[::1]:15002', '0.0.0.0:15003', '192.0.2.7:15004', '[::]:15005']

test.each([
  ['127.0.0.1', 15001],
  ['127.0.0.2', 15001],
  ['::1', 15001],
  ['::1', 15002],
  ['127.0.0.1', 15003],
  ['0.0.0.0', 15003],
  ['192.0.2.7', 15004],
  ['127.0.0.1', 15005],
])('%s port %i is a door of ours', (address, port) => {
  expect(isOwnListener(DOORS, address, port)).toBe(true)
})

test('so is every address of this machine at a port of ours', () => {
  const all = Object.values(networkInterfaces()).flatMap((one = []) => one.map(({ address }) => address))
  expect(all.length).toBeGreaterThan(0)
  for (const address of all) expect(isOwnListener(DOORS, address, 15003)).toBe(true)
})

test.each([
  ['127.0.0.1', 443],
  ['127.0.0.1', 5001],
  ['192.0.2.8', 15004],
  ['203.0.113.1', 15003],
])('%s port %i is none', (address, port) => {
  expect(isOwnListener(DOORS, address, port)).toBe(false)
})

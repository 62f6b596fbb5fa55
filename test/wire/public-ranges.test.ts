import { BlockList, isIPv4 } from 'node:net'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { classify } from '../../src/wire/address.ts'
import { contains, type OpenRange, publicRanges } from '../../src/wire/public-ranges.ts'

const { ipv4, ipv6 } = publicRanges()

function isIn(address: string, ranges: readonly OpenRange[]): boolean {
  const range = `${address}/${isIPv4(address) ? 32 : 128}`
  return ranges.some(({ cidr, except }) => contains(cidr, range) && !except.some((one) => contains(one, range)))
}

/** Just inside and just outside of every range that there is, where mistakes are. */
const EDGES = [...ipv4, ...ipv6]
  .flatMap(({ cidr, except }) => [cidr, ...except])
  .map((range) => range.split('/')[0] ?? '')

const anyIpv6 = fc
  .tuple(
    fc.constantFrom('2000', '2001', '2002', '2600', '3fff', '64:ff9b', 'fd00', 'fe80', '::', '4000'),
    fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 4, maxLength: 5 }),
  )
  .map(([head, groups]) => {
    const all = head === '::' ? groups.slice(0, 4) : groups
    return head === '::'
      ? `::${all.map((one) => one.toString(16)).join(':')}`
      : `${head}::${all.map((one) => one.toString(16)).join(':')}`
  })

test('an IPv4 address is in the public ranges exactly when it is public', () => {
  fc.assert(
    fc.property(fc.ipV4(), (address) => {
      expect(isIn(address, ipv4)).toBe(classify(address) === 'public')
    }),
    { numRuns: 2_000, examples: EDGES.filter(isIPv4).map((address) => [address]) },
  )
})

test('so is an IPv6 address, but for an interface identifier that carries a private one', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV6(), anyIpv6), (address) => {
      const isPublic = classify(address) === 'public'
      if (!isIsatap(address)) expect([address, isIn(address, ipv6)]).toEqual([address, isPublic])
      else if (isPublic) expect(isIn(address, ipv6)).toBe(true)
    }),
    { numRuns: 2_000, examples: EDGES.filter((address) => !isIPv4(address)).map((address) => [address]) },
  )
})

test('says what the address check refuses although a range has it', () => {
  expect(classify('2600::5efe:10.0.0.1')).toBe('private')
  expect(isIn('2600::5efe:10.0.0.1', ipv6)).toBe(true)
})

test('no range is named twice, or within another', () => {
  for (const { cidr, except } of [...ipv4, ...ipv6]) {
    for (const one of except) {
      expect([cidr, one, contains(cidr, one)]).toEqual([cidr, one, true])
      expect(except.filter((other) => contains(other, one))).toEqual([one])
    }
  }
})

function isIsatap(address: string): boolean {
  const identifiers = new BlockList()
  for (const prefix of ['::5efe:0:0', '::200:5efe:0:0']) identifiers.addSubnet(prefix, 96, 'ipv6')
  const groups = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const [head = '', tail] = groups.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const whole = [...before, ...Array.from({ length: 8 - before.length - after.length }, () => '0'), ...after]
  return identifiers.check(`::${whole.slice(4).join(':')}`, 'ipv6')
}

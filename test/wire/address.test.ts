import { BlockList } from 'node:net'
import { expect, test } from 'vitest'
import { type AddressClass, canonicalAddress, classify, isAllowed, networkOf } from '../../src/wire/address.ts'

const NOTHING = new BlockList()

/** The addresses of attacks.md E02, as a resolver or a literal may spell them. */
const E02: readonly (readonly [string, AddressClass])[] = [
  ['::1', 'loopback'],
  ['0:0:0:0:0:0:0:1', 'loopback'],
  ['::', 'reserved'],
  ['::ffff:127.0.0.1', 'loopback'],
  ['::FFFF:7F00:1', 'loopback'],
  ['0000:0000:0000:0000:0000:ffff:7f00:0001', 'loopback'],
  ['::127.0.0.1', 'loopback'],
  ['::7f00:1', 'loopback'],
  ['::ffff:0:7f00:1', 'loopback'],
  ['::ffff:0:127.0.0.1', 'loopback'],
  ['64:ff9b::7f00:1', 'loopback'],
  ['64:ff9b::169.254.169.254', 'metadata'],
  ['64:ff9b:1::a9fe:a9fe', 'private'],
  ['64:ff9b:1:abcd::8.8.8.8', 'private'],
  ['2002:7f00:1::', 'loopback'],
  ['2002:a9fe:a9fe::1', 'metadata'],
  ['2002:808:808::1', 'reserved'],
  ['2001:0:4136:e378::', 'reserved'],
  ['2001:0:4136:e378:8000:63bf:80ff:fffe', 'loopback'],
  ['2001:0:7f00:1:8000:63bf:f7f7:f7f7', 'loopback'],
  ['fe80::1%lo', 'link-local'],
  ['fe80::1', 'link-local'],
  ['febf:ffff::1', 'link-local'],
  ['fd00:ec2::254', 'metadata'],
  ['fd00:ec2::23', 'metadata'],
  ['fd20:ce::254', 'metadata'],
  ['fd12:3456::1', 'private'],
  ['fc00::1', 'private'],
  ['fec0::1', 'private'],
  ['ff02::1', 'multicast'],
  ['100::1', 'reserved'],
  ['::5efe:7f00:1', 'loopback'],
  ['2a00:1450:4001:80b::5efe:127.0.0.1', 'loopback'],
  ['2a00:1450:4001:80b:200:5efe:a00:5', 'private'],
  ['3fff::1', 'documentation'],
  ['3fff:fff:ffff::1', 'documentation'],
  ['5f00::1', 'reserved'],
  ['2001:db8::1', 'documentation'],
  ['2001:20::1', 'reserved'],
  ['2001:1ff:ffff::1', 'reserved'],
  ['4000::1', 'reserved'],
  ['::8.8.8.8', 'reserved'],
]

const E03: readonly (readonly [string, AddressClass])[] = [
  ['0.0.0.0', 'reserved'],
  ['0.1.2.3', 'reserved'],
  ['10.0.0.0', 'private'],
  ['10.255.255.255', 'private'],
  ['100.64.0.0', 'private'],
  ['100.127.255.255', 'private'],
  ['100.100.100.200', 'metadata'],
  ['127.0.0.1', 'loopback'],
  ['127.255.255.255', 'loopback'],
  ['168.63.129.16', 'metadata'],
  ['169.254.0.1', 'link-local'],
  ['169.254.169.254', 'metadata'],
  ['169.254.170.2', 'metadata'],
  ['169.254.170.23', 'metadata'],
  ['172.16.0.0', 'private'],
  ['172.31.255.255', 'private'],
  ['192.0.0.1', 'reserved'],
  ['192.0.0.192', 'metadata'],
  ['192.0.2.1', 'documentation'],
  ['192.88.99.1', 'reserved'],
  ['192.168.0.1', 'private'],
  ['192.168.255.255', 'private'],
  ['198.18.0.0', 'reserved'],
  ['198.19.255.255', 'reserved'],
  ['198.51.100.7', 'documentation'],
  ['203.0.113.7', 'documentation'],
  ['224.0.0.1', 'multicast'],
  ['239.255.255.255', 'multicast'],
  ['240.0.0.1', 'reserved'],
  ['255.255.255.255', 'reserved'],
]

const PUBLIC = [
  '1.0.0.0',
  '8.8.8.8',
  '9.255.255.255',
  '11.0.0.0',
  '100.63.255.255',
  '100.128.0.0',
  '126.255.255.255',
  '128.0.0.0',
  '168.63.129.15',
  '169.253.255.255',
  '169.255.0.0',
  '172.15.255.255',
  '172.32.0.0',
  '192.0.1.0',
  '192.167.255.255',
  '192.169.0.0',
  '198.17.255.255',
  '198.20.0.0',
  '223.255.255.255',
  '2000::1',
  '2001:200::1',
  '2001:4860:4860::8888',
  '2001:db9::1',
  '2003::1',
  '2606:4700:4700::1111',
  '2620:4f:8000::1',
  '3fff:1000::1',
  '3ffe:ffff::1',
  '::ffff:8.8.8.8',
  '::ffff:808:808',
  '64:ff9b::8.8.8.8',
]

test.each(E02)('E02: %s is not dialled: it is %s', (address, is) => {
  expect(classify(address)).toBe(is)
  expect(isAllowed(address, NOTHING)).toBe(false)
})

test.each(E03)('E03: %s is not dialled: it is %s', (address, is) => {
  expect(classify(address)).toBe(is)
  expect(isAllowed(address, NOTHING)).toBe(false)
})

test.each(E03)('E03: %s is not dialled as an IPv4-mapped address either', (address, is) => {
  expect(classify(`::ffff:${address}`)).toBe(is)
})

test.each(PUBLIC)('E03: %s is public, right up to the edge of a special range', (address) => {
  expect(classify(address)).toBe('public')
  expect(isAllowed(address, NOTHING)).toBe(true)
})

test.each(['', 'localhost', '127.1', '0x7f000001', '2130706433', '127.0.0.1.', '[::1]', '::1::', '8.8.8.8/32'])(
  'what is not an address is reserved: "%s"',
  (text) => {
    expect(classify(text)).toBe('reserved')
    expect(isAllowed(text, NOTHING)).toBe(false)
  },
)

test.each([
  ['10.1.2.3', true],
  ['::ffff:10.1.2.3', true],
  ['::ffff:a01:203', true],
  ['11.1.2.3', true],
  ['192.168.0.1', false],
  ['64:ff9b::10.1.2.3', false],
  ['2002:a01:203::', false],
  ['::10.1.2.3', false],
  ['fd00:1::1', true],
  ['fd00:2::1', false],
  ['fe80::1%eth0', true],
])('with 10.0.0.0/8, fd00:1::/32 and fe80::/64 allowed, %s is allowed: %s', (address, allowed) => {
  const ranges = new BlockList()
  ranges.addSubnet('10.0.0.0', 8, 'ipv4')
  ranges.addSubnet('fd00:1::', 32, 'ipv6')
  ranges.addSubnet('fe80::', 64, 'ipv6')
  expect(isAllowed(address, ranges)).toBe(allowed)
})

test.each([
  ['127.0.0.1', '127.0.0.1'],
  ['::ffff:127.0.0.1', '127.0.0.1'],
  ['::FFFF:7F00:1', '127.0.0.1'],
  ['0:0:0:0:0:0:0:1', '::1'],
  ['2001:DB8::0:1', '2001:db8::1'],
  ['::127.0.0.1', '::127.0.0.1'],
  ['fe80::1%lo', 'fe80::1%lo'],
  ['no address', 'no address'],
])('%s is spelled %s', (address, canonical) => {
  expect(canonicalAddress(address)).toBe(canonical)
})

test.each([
  ['10.20.30.40/16', '10.20.0.0/16'],
  ['10.20.30.40/32', '10.20.30.40/32'],
  ['10.20.30.41/31', '10.20.30.40/31'],
  ['10.200.0.0/9', '10.128.0.0/9'],
  ['255.255.255.255/0', '0.0.0.0/0'],
  ['fd00:1:2:3::4/48', 'fd00:1:2::/48'],
  ['FD00:0:0:0:0:0:0:7/128', 'fd00::7/128'],
  ['2001:db8:ffff::1/33', '2001:db8:8000::/33'],
  ['::1/0', '::/0'],
  ['fe80::1%eth0/128', 'fe80::1/128'],
  ['::ffff:10.0.0.7/120', '::ffff:10.0.0.0/120'],
])('the network of %s is %s', (range, network) => {
  expect(networkOf(range)).toBe(network)
})

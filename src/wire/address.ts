import { type BlockList, isIPv4, isIPv6, SocketAddress } from 'node:net'

/**
 * What an address is for. Only `public` is dialled without being asked for. `metadata`: where a cloud hands out the
 * credentials of the machine. `reserved`: everything else that IANA kept back, and whatever is not an address at all.
 */
export type AddressClass =
  | 'public'
  | 'private'
  | 'loopback'
  | 'link-local'
  | 'metadata'
  | 'multicast'
  | 'documentation'
  | 'reserved'

/**
 * Classifies an IPv4 or IPv6 address in any spelling that `net.isIP` takes; brackets do not belong to it, a zone may.
 * An IPv6 form that carries an IPv4 address is judged by both: it is public only where the form itself may leave the
 * machine (IPv4-mapped, NAT64 64:ff9b::/96) and the address it carries is public.
 * @see RFC 6890, RFC 4291 section 2.5.5, RFC 6052, RFC 8215, RFC 3056, RFC 4380, RFC 5214
 */
export function classify(address: string): AddressClass {
  const [plain = ''] = address.split('%')
  if (isIPv4(plain)) return classifyIpv4(ipv4Bytes(plain))
  return isIPv6(plain) ? classifyIpv6(ipv6Bytes(plain)) : 'reserved'
}

/**
 * Public, or in a range that the operator lists. An IPv4-mapped address counts as the IPv4 address it is, because the
 * kernel dials that; any other form counts by its own IPv6 spelling: who allows 10.0.0.0/8 has not allowed a translator.
 */
export function isAllowed(address: string, allowPrivate: BlockList): boolean {
  if (classify(address) === 'public') return true
  const [plain = ''] = address.split('%')
  if (isIPv4(plain)) return allowPrivate.check(plain, 'ipv4')
  // BlockList itself compares an IPv4-mapped address with the IPv4 ranges.
  return isIPv6(plain) && allowPrivate.check(plain, 'ipv6')
}

/** The one spelling of an address, to compare by; an IPv4-mapped one is the IPv4 address that it dials. */
export function canonicalAddress(address: string): string {
  if (!isIPv6(address) || address.includes('%')) return address
  const bytes = ipv6Bytes(address)
  if (hasPrefix(bytes, MAPPED, 96)) return bytes.slice(12).join('.')
  return new SocketAddress({ address, family: 'ipv6' }).address
}

/** Its four bytes, or its sixteen; an IPv4-mapped one is the IPv4 address that it dials. */
export function addressBytes(address: string): readonly number[] {
  const [plain = ''] = canonicalAddress(address).split('%')
  return isIPv4(plain) ? ipv4Bytes(plain) : ipv6Bytes(plain)
}

/** A range in its one spelling: without the bits behind its prefix, which some refuse, and without a zone. */
export function networkOf(range: string): string {
  const [address = '', bits = ''] = range.split('/')
  const [plain = ''] = address.split('%')
  const bytes = isIPv4(plain) ? ipv4Bytes(plain) : ipv6Bytes(plain)
  const kept = bytes.map((byte, at) => byte & (0xff00 >> Math.min(8, Math.max(0, Number(bits) - at * 8))) & 0xff)
  if (kept.length === 4) return `${kept.join('.')}/${bits}`
  const groups = kept.flatMap((byte, at) => (at % 2 === 0 ? [((byte << 8) | (kept[at + 1] ?? 0)).toString(16)] : []))
  return `${new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address}/${bits}`
}

/**
 * Whose address it is, to count by: an IPv4 address is one peer, mapped or not, and an IPv6 address one of the 2^64 that every
 * peer has. @see RFC 6177
 */
export function peerNetwork(address: string): string {
  const [plain = '', zone] = address.split('%')
  if (!isIPv6(plain)) return address
  const bytes = ipv6Bytes(plain)
  if (hasPrefix(bytes, MAPPED, 96)) return bytes.slice(12).join('.')
  const prefix = Buffer.from(bytes.slice(0, 8)).toString('hex')
  return `${prefix}/64${zone === undefined ? '' : `%${zone}`}`
}

type Range = readonly [prefix: readonly number[], bits: number, is: AddressClass]
/** A range as `address/bits`, and what its addresses are for, unless an earlier row says otherwise. */
export type Row = readonly [range: string, is: AddressClass]

/** The first row that holds the address decides. @see https://www.iana.org/assignments/iana-ipv4-special-registry */
export const IPV4_ROWS: readonly Row[] = [
  ['169.254.169.254/32', 'metadata'], // AWS, Azure, Google, and most others
  ['169.254.170.2/32', 'metadata'], // AWS ECS tasks
  ['169.254.170.23/32', 'metadata'], // AWS EKS pod identity
  ['168.63.129.16/32', 'metadata'], // Azure wire server: inside a public range
  ['100.100.100.200/32', 'metadata'], // Alibaba
  ['192.0.0.192/32', 'metadata'], // Oracle
  ['0.0.0.0/8', 'reserved'], // Linux connects 0.0.0.0 to loopback
  ['10.0.0.0/8', 'private'],
  ['100.64.0.0/10', 'private'],
  ['127.0.0.0/8', 'loopback'],
  ['169.254.0.0/16', 'link-local'],
  ['172.16.0.0/12', 'private'],
  ['192.0.0.0/24', 'reserved'],
  ['192.0.2.0/24', 'documentation'],
  ['192.88.99.0/24', 'reserved'],
  ['192.168.0.0/16', 'private'],
  ['198.18.0.0/15', 'reserved'],
  ['198.51.100.0/24', 'documentation'],
  ['203.0.113.0/24', 'documentation'],
  ['224.0.0.0/4', 'multicast'],
  ['240.0.0.0/4', 'reserved'],
]

/** Everything outside 2000::/3 is closed unless it says otherwise. @see https://www.iana.org/assignments/iana-ipv6-special-registry */
export const IPV6_ROWS: readonly Row[] = [
  ['::1/128', 'loopback'],
  ['fd00:ec2::/32', 'metadata'], // AWS: ::254, and ::23 for EKS pod identity
  ['fd20:ce::254/128', 'metadata'], // Google
  ['fd00:c1::a9fe:a9fe/128', 'metadata'], // Oracle
  ['fc00::/7', 'private'],
  ['fe80::/10', 'link-local'],
  ['fec0::/10', 'private'],
  ['ff00::/8', 'multicast'],
  ['2001::/23', 'reserved'],
  ['2001:db8::/32', 'documentation'],
  ['2002::/16', 'reserved'],
  ['3fff::/20', 'documentation'],
  ['2000::/3', 'public'],
  ['::/0', 'reserved'],
]

const IPV4 = compile(ipv4Bytes, IPV4_ROWS)
const IPV6 = compile(ipv6Bytes, IPV6_ROWS)

/** `form`: what the form itself is, whatever it carries; `at`: the byte where the IPv4 address starts. */
interface Carrier {
  readonly prefix: readonly number[]
  readonly bits: number
  readonly at: number
  readonly form: AddressClass
  readonly inverted?: boolean
}

const MAPPED = ipv6Bytes('::ffff:0:0')

const CARRIERS: readonly Carrier[] = [
  { prefix: MAPPED, bits: 96, at: 12, form: 'public' },
  { prefix: ipv6Bytes('64:ff9b::'), bits: 96, at: 12, form: 'public' }, // NAT64: the only IPv4 of an IPv6-only network
  { prefix: ipv6Bytes('64:ff9b:1::'), bits: 48, at: 12, form: 'private' }, // NAT64 of one's own network
  { prefix: ipv6Bytes('::'), bits: 96, at: 12, form: 'reserved' }, // IPv4-compatible
  { prefix: ipv6Bytes('::ffff:0:0:0'), bits: 96, at: 12, form: 'reserved' }, // IPv4-translated
  { prefix: ipv6Bytes('2002::'), bits: 16, at: 2, form: 'reserved' }, // 6to4
  { prefix: ipv6Bytes('2001::'), bits: 32, at: 12, form: 'reserved', inverted: true }, // Teredo: the client
  { prefix: ipv6Bytes('2001::'), bits: 32, at: 4, form: 'reserved' }, // Teredo: the server
]

function classifyIpv4(bytes: readonly number[]): AddressClass {
  return lookUp(IPV4, bytes)
}

function classifyIpv6(bytes: readonly number[]): AddressClass {
  const own = lookUp(IPV6, bytes)
  // The rows about ::1, metadata, link-local and the like name the address better than what it might carry.
  if (own !== 'public' && own !== 'reserved') return own
  if (isIsatap(bytes)) return narrower(own, classifyIpv4(bytes.slice(12)))
  const carriers = CARRIERS.filter(({ prefix, bits }) => hasPrefix(bytes, prefix, bits))
  const [first] = carriers
  if (!first) return own
  return carriers.map((carrier) => classifyIpv4(carried(bytes, carrier))).reduce(narrower, first.form)
}

/** What is wrong with an address that is two things at once: whichever is not simply public or reserved. */
function narrower(one: AddressClass, other: AddressClass): AddressClass {
  if (one === 'public' || (one === 'reserved' && other !== 'public')) return other
  return one
}

function carried(bytes: readonly number[], { at, inverted }: Carrier): number[] {
  const four = bytes.slice(at, at + 4)
  return inverted ? four.map((byte) => byte ^ 0xff) : four
}

/** An interface identifier of ::0:5efe:a.b.c.d or ::200:5efe:a.b.c.d below any prefix. @see RFC 5214 section 6.1 */
function isIsatap(bytes: readonly number[]): boolean {
  return ((bytes[8] ?? 0) & 0xfd) === 0 && bytes[9] === 0 && bytes[10] === 0x5e && bytes[11] === 0xfe
}

function lookUp(ranges: readonly Range[], bytes: readonly number[]): AddressClass {
  return ranges.find(([prefix, bits]) => hasPrefix(bytes, prefix, bits))?.[2] ?? 'public'
}

function hasPrefix(bytes: readonly number[], prefix: readonly number[], bits: number): boolean {
  const whole = bits >> 3
  for (let at = 0; at < whole; at++) if (bytes[at] !== prefix[at]) return false
  const mask = 0xff & (0xff << (8 - (bits & 7)))
  return (bits & 7) === 0 || ((bytes[whole] ?? 0) & mask) === ((prefix[whole] ?? 0) & mask)
}

function compile(toBytes: (address: string) => number[], rows: readonly Row[]): readonly Range[] {
  return rows.map(([range, is]) => {
    const [address = '', bits = ''] = range.split('/')
    return [toBytes(address), Number(bits), is]
  })
}

function ipv4Bytes(address: string): number[] {
  return address.split('.').map(Number)
}

/** The sixteen bytes of what `isIPv6` has let through. */
function ipv6Bytes(address: string): number[] {
  const [head = '', tail] = address.split('::')
  const before = groupBytes(head)
  const after = tail === undefined ? [] : groupBytes(tail)
  return [...before, ...Array.from({ length: 16 - before.length - after.length }, () => 0), ...after]
}

function groupBytes(groups: string): number[] {
  if (groups === '') return []
  return groups.split(':').flatMap((group) => {
    const value = Number.parseInt(group, 16)
    return group.includes('.') ? ipv4Bytes(group) : [value >> 8, value & 0xff]
  })
}

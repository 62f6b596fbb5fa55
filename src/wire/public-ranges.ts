import { BlockList, isIPv4, SocketAddress } from 'node:net'
import { IPV4_ROWS, IPV6_ROWS, type Row } from './address.ts'

/** A range, and what of it is left out. */
export interface OpenRange {
  readonly cidr: string
  readonly except: readonly string[]
}

/**
 * What `classify` calls public, for whoever knows ranges alone: a NetworkPolicy, a packet filter. No address that is public
 * is missing. The other way there is one form too many: an interface identifier that carries a private IPv4 address (ISATAP)
 * is found below any prefix, which no range can say; the address check refuses it.
 */
export function publicRanges(): { readonly ipv4: readonly OpenRange[]; readonly ipv6: readonly OpenRange[] } {
  const closed = outermost(IPV4_ROWS.filter(([, is]) => is !== 'public').map(([range]) => range))
  const open = IPV6_ROWS.filter(([, is]) => is === 'public').map(([cidr]) => ({ cidr, except: closedWithin(cidr) }))
  return {
    ipv4: [{ cidr: '0.0.0.0/0', except: closed }],
    // RFC 6052: the IPv4 address is the last 32 of 128 bits.
    ipv6: [...open, { cidr: '64:ff9b::/96', except: closed.map(translated) }],
  }
}

/** Rows are looked up from the top: what stands behind the range is no part of it. */
function closedWithin(cidr: string): readonly string[] {
  const before: readonly Row[] = IPV6_ROWS.slice(
    0,
    IPV6_ROWS.findIndex(([range]) => range === cidr),
  )
  return outermost(before.filter(([, is]) => is !== 'public').map(([range]) => range)).filter((range) =>
    contains(cidr, range),
  )
}

/** Without those that are within another. */
function outermost(ranges: readonly string[]): readonly string[] {
  return ranges.filter((range) => !ranges.some((other) => other !== range && contains(other, range)))
}

/** Whether the other range is within this one, or is the same. */
export function contains(range: string, other: string): boolean {
  const [address = '', bits = ''] = range.split('/')
  const [inner = '', innerBits = ''] = other.split('/')
  if (isIPv4(address) !== isIPv4(inner) || Number(innerBits) < Number(bits)) return false
  const list = new BlockList()
  list.addSubnet(address, Number(bits), isIPv4(address) ? 'ipv4' : 'ipv6')
  return list.check(inner, isIPv4(inner) ? 'ipv4' : 'ipv6')
}

function translated(range: string): string {
  const [address = '', bits = ''] = range.split('/')
  const mapped = new SocketAddress({ address: `64:ff9b::${address}`, family: 'ipv6' }).address
  return `${mapped}/${96 + Number(bits)}`
}

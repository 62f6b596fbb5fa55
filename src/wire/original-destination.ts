import { isIPv6, type Socket } from 'node:net'
import { canonicalAddress } from './address.ts'
import { descriptorOf, openLibc } from './libc.ts'

/** An address and a port; the address is in its canonical spelling. */
export interface SocketPlace {
  readonly address: string
  readonly port: number
}

/** Reads from the kernel where a socket was going before a rule of nftables or iptables redirected it here. */
export interface OriginalDestinationReader {
  /**
   * Undefined where connection tracking knows nothing of it. What was never redirected has its own end as the original
   * destination. To be asked at accept.
   */
  read(socket: Socket): SocketPlace | undefined
}

// <bits/socket.h>, <asm-generic/socket.h>, <linux/netfilter_ipv4.h> and <linux/netfilter_ipv6/ip6_tables.h>, as on x86-64
// and arm64; the self-test catches a platform that differs.
const AF_INET = 2
const AF_INET6 = 10
const SOCK_DGRAM = 2
const SOL_SOCKET = 1
const SO_PEERNAME = 28
const SOL_IP = 0
const SOL_IPV6 = 41
const SO_ORIGINAL_DST = 80
/** struct sockaddr_in and sockaddr_in6. SO_PEERNAME takes no more room than that, SO_ORIGINAL_DST no less. */
const SOCKADDR_BYTES = { [AF_INET]: 16, [AF_INET6]: 28 } as const
/** What the self-test connects to. Nothing goes out: UDP says nothing until something is sent. */
const TRIED = { port: 15_002, ipv4: '127.0.0.1', ipv6: '::1' } as const

/**
 * SO_ORIGINAL_DST through node:ffi. Whether anything is redirected cannot be tried out here: what is tried is that the same
 * call reads addresses of both families right.
 * @throws Error in words when this Node or this platform cannot do it
 */
export function createOriginalDestinationReader(): OriginalDestinationReader {
  const libc = openLibc(SIGNATURES, unable)
  proveOnOwnSocket(libc, AF_INET, TRIED.ipv4)
  proveOnOwnSocket(libc, AF_INET6, TRIED.ipv6)
  return {
    read(socket) {
      const fd = descriptorOf(socket)
      if (fd === undefined) return undefined
      const isSix = isIPv6(socket.localAddress ?? '')
      const level = isSix ? SOL_IPV6 : SOL_IP
      return readAddress(libc, fd, { family: isSix ? AF_INET6 : AF_INET, level, option: SO_ORIGINAL_DST })
    },
  }
}

const SIGNATURES = {
  getsockopt: { return: 'int32', arguments: ['int32', 'int32', 'int32', 'pointer', 'pointer'] },
  socket: { return: 'int32', arguments: ['int32', 'int32', 'int32'] },
  connect: { return: 'int32', arguments: ['int32', 'pointer', 'int32'] },
  close: { return: 'int32', arguments: ['int32'] },
} as const

type Libc = ReturnType<typeof openLibc<typeof SIGNATURES>>

type Family = typeof AF_INET | typeof AF_INET6

interface Question {
  readonly family: Family
  readonly level: number
  readonly option: number
}

function readAddress(libc: Libc, fd: number, { family, level, option }: Question): SocketPlace | undefined {
  const bytes = Buffer.alloc(SOCKADDR_BYTES[family])
  const length = Buffer.alloc(4)
  length.writeUInt32LE(bytes.length)
  return libc.getsockopt(fd, level, option, bytes, length) === 0 ? addressIn(bytes) : undefined
}

/** @see ip(7), ipv6(7) */
function addressIn(bytes: Buffer): SocketPlace | undefined {
  const port = bytes.readUInt16BE(2)
  switch (bytes.readUInt16LE(0)) {
    case AF_INET:
      return { address: [...bytes.subarray(4, 8)].join('.'), port }
    case AF_INET6:
      return { address: canonicalAddress(ipv6In(bytes.subarray(8, 24))), port }
    default:
      return undefined
  }
}

function ipv6In(bytes: Buffer): string {
  return Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(at * 2).toString(16)).join(':')
}

/** SO_PEERNAME answers in the same form, of any socket that is connected. A machine without IPv6 has nothing to try. */
function proveOnOwnSocket(libc: Libc, family: Family, address: string): void {
  const fd = libc.socket(family, SOCK_DGRAM, 0)
  if (fd < 0 && family === AF_INET6) return
  const to = sockaddr(family)
  const isConnected = fd >= 0 && libc.connect(fd, to, to.length) === 0
  const read = isConnected ? readAddress(libc, fd, { family, level: SOL_SOCKET, option: SO_PEERNAME }) : undefined
  if (fd >= 0) libc.close(fd)
  if (!isConnected && family === AF_INET6) return
  if (read?.address !== address || read.port !== TRIED.port)
    throw unable('a kernel and a node:ffi that agree about addresses; the self-test read something else')
}

/** The loopback address of that family, which ends in a 1. */
function sockaddr(family: Family): Buffer {
  const bytes = Buffer.alloc(SOCKADDR_BYTES[family])
  bytes.writeUInt16LE(family, 0)
  bytes.writeUInt16BE(TRIED.port, 2)
  if (family === AF_INET) bytes.writeUInt32BE(0x7f_00_00_01, 4)
  else bytes[23] = 1
  return bytes
}

function unable(need: string, cause?: unknown): Error {
  return new Error(`transparent doors need ${need}. Use a forward door, and HTTP_PROXY`, { cause })
}

/** As a settings file would write it. */
export function writtenPlace({ address, port }: SocketPlace): string {
  return isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`
}

import { openLibc } from './libc.ts'
import type { ListenAddress } from './listen.ts'

/** What the kernel says of a socket. */
export interface SocketFact {
  readonly isStream: boolean
  readonly isListening: boolean
  /** Where it is bound; undefined for anything but TCP and paths of the file system. */
  readonly at: ListenAddress | undefined
}

/** Asks the kernel about file descriptors that were passed to this process. */
export interface SocketFacts {
  /** Undefined where there is no socket. From then on no child gets it. */
  read(fd: number): SocketFact | undefined
}

// <asm-generic/socket.h>, <bits/socket.h>, <bits/fcntl.h>, as on x86-64 and arm64; the self-test catches a platform that differs.
const AF_UNIX = 1
const AF_INET = 2
const AF_INET6 = 10
const SOCK_STREAM = 1
const SOL_SOCKET = 1
const SO_TYPE = 3
const SO_ACCEPTCONN = 30
const F_SETFD = 2
const FD_CLOEXEC = 1
/** sockaddr_storage */
const ADDRESS_BYTES = 128

/**
 * getsockopt(2) and getsockname(2) through node:ffi, tried out on a socket pair of our own.
 * @throws Error in words when this Node or this platform cannot do it
 */
export function openSocketFacts(): SocketFacts {
  const libc = openLibc(SIGNATURES, unable)
  proveOnOwnPair(libc)
  return { read: (fd) => readFacts(libc, fd) }
}

type Libc = ReturnType<typeof openLibc<typeof SIGNATURES>>

const SIGNATURES = {
  getsockopt: { return: 'int32', arguments: ['int32', 'int32', 'int32', 'pointer', 'pointer'] },
  getsockname: { return: 'int32', arguments: ['int32', 'pointer', 'pointer'] },
  socketpair: { return: 'int32', arguments: ['int32', 'int32', 'int32', 'pointer'] },
  fcntl: { return: 'int32', arguments: ['int32', 'int32', 'int32'] },
  close: { return: 'int32', arguments: ['int32'] },
} as const

function readFacts(libc: Libc, fd: number): SocketFact | undefined {
  const type = option(libc, fd, SO_TYPE)
  if (type === undefined) return undefined
  libc.fcntl(fd, F_SETFD, FD_CLOEXEC)
  const isListening = option(libc, fd, SO_ACCEPTCONN) === 1
  return { isStream: type === SOCK_STREAM, isListening, at: addressOf(libc, fd) }
}

function option(libc: Libc, fd: number, name: number): number | undefined {
  const [value, length] = [Buffer.alloc(4), ofLength(4)]
  const result: unknown = libc.getsockopt(fd, SOL_SOCKET, name, value, length)
  return result === 0 ? value.readInt32LE() : undefined
}

function addressOf(libc: Libc, fd: number): ListenAddress | undefined {
  const [address, length] = [Buffer.alloc(ADDRESS_BYTES), ofLength(ADDRESS_BYTES)]
  const result: unknown = libc.getsockname(fd, address, length)
  return result === 0 ? parseAddress(address.subarray(0, Math.min(length.readUInt32LE(), ADDRESS_BYTES))) : undefined
}

/** @see ip(7), ipv6(7), unix(7) */
function parseAddress(bytes: Buffer): ListenAddress | undefined {
  switch (bytes.readUInt16LE(0)) {
    case AF_INET:
      return { kind: 'tcp', host: bytes.subarray(4, 8).join('.'), port: bytes.readUInt16BE(2) }
    case AF_INET6: {
      const words = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(8 + 2 * at).toString(16))
      return { kind: 'tcp', host: words.join(':'), port: bytes.readUInt16BE(2) }
    }
    case AF_UNIX: {
      const [path = ''] = bytes.toString('utf8', 2).split('\0')
      // An abstract one begins with a zero byte: it has no owner and no mode, so it is no place for a door.
      return path === '' ? undefined : { kind: 'unix', path }
    }
    default:
      return undefined
  }
}

/** node:ffi is experimental: a misread signature would answer nonsense without a word. */
function proveOnOwnPair(libc: Libc): void {
  const pair = Buffer.alloc(8)
  const result: unknown = libc.socketpair(AF_UNIX, SOCK_STREAM, 0, pair)
  if (result !== 0) throw unable('socketpair(2)')
  const [one, other] = [pair.readInt32LE(0), pair.readInt32LE(4)]
  const found = readFacts(libc, one)
  libc.close(one)
  libc.close(other)
  if (!(found?.isStream === true && !found.isListening && found.at === undefined))
    throw unable('a kernel and a node:ffi that agree about sockets; the self-test read something else')
}

function ofLength(bytes: number): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32LE(bytes)
  return length
}

function unable(need: string, cause?: unknown): Error {
  return new Error(`sockets of systemd need ${need}. Leave "systemd" out, and Sallyport opens its sockets itself`, {
    cause,
  })
}

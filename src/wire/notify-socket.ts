import { openLibc } from './libc.ts'

/** A datagram socket that somebody reads who started us. */
export interface NotifySocket {
  /** Whether the kernel took it. Does not wait, and does not throw. */
  send(text: string): boolean
}

// <bits/socket.h>, as on x86-64 and arm64; the self-test catches a platform that differs.
const AF_UNIX = 1
const SOCK_DGRAM = 2
const SOCK_CLOEXEC = 0x8_00_00
const MSG_DONTWAIT = 0x40
const MSG_NOSIGNAL = 0x40_00
/** sockaddr_un has 108 bytes for the path. @see unix(7) */
const MAX_PATH_BYTES = 107

/**
 * The socket at a path, or at an abstract name such as `@org/freedesktop/systemd1/notify`. Node has no Unix datagrams, and a
 * program that sends them for us would need NotifyAccess=all: so sendto(2) through node:ffi, tried out on a pair of our own.
 * @throws Error in words when this Node, this platform or this address cannot do it
 */
export function openNotifySocket(address: string): NotifySocket {
  const to = encode(address)
  const libc = openLibc(SIGNATURES, (need, cause) => new Error(`it needs ${need}`, { cause }))
  proveOnOwnPair(libc)
  const fd: unknown = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)
  if (typeof fd !== 'number' || fd < 0) throw new Error('socket(2) refuses a Unix datagram socket')
  return { send: (text) => sendTo(libc, { fd, to, text }) }
}

function encode(address: string): Buffer {
  const isAbstract = address.startsWith('@')
  const path = Buffer.from(isAbstract ? `\0${address.slice(1)}` : address)
  if (!/^[@/]./.test(address) || path.length > MAX_PATH_BYTES)
    throw new Error('it is neither a path nor an abstract name')
  const family = Buffer.alloc(2)
  family.writeUInt16LE(AF_UNIX)
  // A path ends with a zero byte; to an abstract name it would belong.
  return Buffer.concat([family, path, Buffer.alloc(isAbstract ? 0 : 1)])
}

type Libc = ReturnType<typeof openLibc<typeof SIGNATURES>>

const SIGNATURES = {
  socket: { return: 'int32', arguments: ['int32', 'int32', 'int32'] },
  socketpair: { return: 'int32', arguments: ['int32', 'int32', 'int32', 'pointer'] },
  sendto: { return: 'int64', arguments: ['int32', 'pointer', 'uint64', 'int32', 'pointer', 'uint32'] },
  recv: { return: 'int64', arguments: ['int32', 'pointer', 'uint64', 'int32'] },
  close: { return: 'int32', arguments: ['int32'] },
} as const

interface Message {
  readonly fd: number
  readonly to: Buffer | undefined
  readonly text: string
}

function sendTo(libc: Libc, { fd, to, text }: Message): boolean {
  const bytes = Buffer.from(text)
  const flags = MSG_DONTWAIT | MSG_NOSIGNAL
  const sent: unknown = libc.sendto(fd, bytes, BigInt(bytes.length), flags, to ?? 0n, to?.length ?? 0)
  return sent === BigInt(bytes.length)
}

/** node:ffi is experimental: a misread signature would send nonsense without a word. */
function proveOnOwnPair(libc: Libc): void {
  const pair = Buffer.alloc(8)
  const made: unknown = libc.socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair)
  if (made !== 0) throw new Error('socketpair(2) refuses Unix datagram sockets')
  const [one, other] = [pair.readInt32LE(0), pair.readInt32LE(4)]
  const text = 'READY=1'
  const isSent = sendTo(libc, { fd: one, to: undefined, text })
  const got = Buffer.alloc(16)
  const length: unknown = libc.recv(other, got, BigInt(got.length), MSG_DONTWAIT)
  libc.close(one)
  libc.close(other)
  const isOurs = isSent && length === BigInt(text.length) && got.toString('latin1', 0, text.length) === text
  if (!isOurs)
    throw new Error('a kernel and a node:ffi that agree about sendto(2) are needed; the self-test read something else')
}

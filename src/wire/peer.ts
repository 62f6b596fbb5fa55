import type { Socket } from 'node:net'
import type { Peer } from '../core/ask.ts'
import { descriptorOf, openLibc } from './libc.ts'

/** Reads from the kernel who is at the other end of a Unix socket. */
export interface PeerReader {
  /** Who connected; undefined where the kernel does not say: TCP, and sockets that are closed. To be asked at accept. */
  read(socket: Socket): Peer | undefined
}

// <asm-generic/socket.h> and <bits/socket.h>, as on x86-64 and arm64; the self-test catches a platform that differs.
const AF_UNIX = 1
const SOCK_STREAM = 1
const SOL_SOCKET = 1
const SO_PEERCRED = 17
/** struct ucred: pid, uid, gid, 32 bits each. @see unix(7) */
const UCRED_BYTES = 12
/** What the kernel answers about a socket that has no peer credentials. */
const NOBODY = 0xff_ff_ff_ff

/**
 * SO_PEERCRED through node:ffi, tried out on a socket pair of our own.
 * @throws Error in words when this Node or this platform cannot do it
 */
export function createPeerReader(): PeerReader {
  const libc = openLibc(SIGNATURES, unable)
  const read = (fd: number) => readCredentials(libc, fd)
  proveOnOwnPair(libc, read)
  return {
    read(socket) {
      const fd = descriptorOf(socket)
      return fd === undefined ? undefined : read(fd)
    },
  }
}

type Libc = ReturnType<typeof openLibc<typeof SIGNATURES>>

const SIGNATURES = {
  getsockopt: { return: 'int32', arguments: ['int32', 'int32', 'int32', 'pointer', 'pointer'] },
  socketpair: { return: 'int32', arguments: ['int32', 'int32', 'int32', 'pointer'] },
  close: { return: 'int32', arguments: ['int32'] },
} as const

function readCredentials(libc: Libc, fd: number): Peer | undefined {
  const credentials = Buffer.alloc(UCRED_BYTES)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(UCRED_BYTES)
  const result: unknown = libc.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, length)
  if (result !== 0 || length.readUInt32LE() !== UCRED_BYTES) return undefined
  const uid = credentials.readUInt32LE(4)
  return uid === NOBODY ? undefined : { pid: credentials.readInt32LE(0), uid, gid: credentials.readUInt32LE(8) }
}

/** node:ffi is experimental: a misread signature would answer nonsense without a word. */
function proveOnOwnPair(libc: Libc, read: (fd: number) => Peer | undefined): void {
  const pair = Buffer.alloc(8)
  const result: unknown = libc.socketpair(AF_UNIX, SOCK_STREAM, 0, pair)
  if (result !== 0) throw unable('socketpair(2)')
  const [one, other] = [pair.readInt32LE(0), pair.readInt32LE(4)]
  const peer = read(one)
  libc.close(one)
  libc.close(other)
  const isUs = peer?.pid === process.pid && peer.uid === process.geteuid?.() && peer.gid === process.getegid?.()
  if (!isUs) throw unable('a kernel and a node:ffi that agree about SO_PEERCRED; the self-test read something else')
}

function unable(need: string, cause?: unknown): Error {
  return new Error(`unix-peer callers need ${need}. Use api-key callers, or one socket a caller with its own mode`, {
    cause,
  })
}

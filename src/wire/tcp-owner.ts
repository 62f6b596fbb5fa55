import { readlinkSync } from 'node:fs'
import { addressBytes } from './address.ts'
import { openLibc } from './libc.ts'
import type { SocketPlace } from './original-destination.ts'

/** Reads from the kernel whose a TCP socket of this machine is. */
export interface TcpOwnerReader {
  /**
   * The uid of whoever made the socket at `near`, which is connected to `far` as it sees it: before a redirection. Undefined
   * where the kernel knows no such socket, and of one that its process has closed. Good for counting, and no proof: of a
   * redirected connection connection tracking may change the port, and then this may be another one's socket.
   */
  read(near: SocketPlace, far: SocketPlace): number | undefined
}

// <linux/netlink.h>, <linux/sock_diag.h>, <linux/inet_diag.h>, <bits/socket.h>; the self-test catches a platform that differs.
const AF_INET = 2
const AF_INET6 = 10
const AF_NETLINK = 16
const SOCK_STREAM_CLOEXEC = 1 | 0x8_00_00
const SOCK_RAW_NONBLOCK_CLOEXEC = 3 | 0x8_00 | 0x8_00_00
const NETLINK_SOCK_DIAG = 4
const SOCK_DIAG_BY_FAMILY = 20
const NLM_F_REQUEST = 1
const IPPROTO_TCP = 6
const ANY = 0xff_ff_ff_ff
/** struct nlmsghdr, and struct inet_diag_req_v2 or inet_diag_msg behind it; each has a struct inet_diag_sockid in it. */
const HEADER_BYTES = 16
const QUESTION_BYTES = HEADER_BYTES + 56
const ANSWER_BYTES = HEADER_BYTES + 72
const ASKED_ID_AT = HEADER_BYTES + 8
const TOLD_ID_AT = HEADER_BYTES + 4
const UID_AT = HEADER_BYTES + 64
const INODE_AT = HEADER_BYTES + 68

/**
 * sock_diag(7) through node:ffi: one look into the kernel's hash table, whatever number of sockets there are, in some 12 µs
 * [6.18], by a netlink socket of its own, so that no answer can be that to another question.
 * @throws Error in words when this Node or this platform cannot do it
 */
export function createTcpOwnerReader(): TcpOwnerReader {
  const libc = openLibc(SIGNATURES, unable)
  const read: TcpOwnerReader['read'] = (near, far) => ask(libc, near, far)?.uid
  proveOnOwnListener(libc)
  return { read }
}

const SIGNATURES = {
  socket: { return: 'int32', arguments: ['int32', 'int32', 'int32'] },
  bind: { return: 'int32', arguments: ['int32', 'pointer', 'int32'] },
  listen: { return: 'int32', arguments: ['int32', 'int32'] },
  getsockname: { return: 'int32', arguments: ['int32', 'pointer', 'pointer'] },
  send: { return: 'int32', arguments: ['int32', 'pointer', 'uint64', 'int32'] },
  recv: { return: 'int32', arguments: ['int32', 'pointer', 'uint64', 'int32'] },
  close: { return: 'int32', arguments: ['int32'] },
} as const

type Libc = ReturnType<typeof openLibc<typeof SIGNATURES>>

interface Found {
  readonly uid: number
  readonly inode: number
}

function ask(libc: Libc, near: SocketPlace, far: SocketPlace): Found | undefined {
  const question = questionAbout(near, far)
  const answer = Buffer.alloc(256)
  const fd = libc.socket(AF_NETLINK, SOCK_RAW_NONBLOCK_CLOEXEC, NETLINK_SOCK_DIAG)
  if (fd < 0) return undefined
  // The kernel answers before `send` returns.
  const isSent = libc.send(fd, question, BigInt(question.length), 0) === question.length
  const size = isSent ? libc.recv(fd, answer, BigInt(answer.length), 0) : 0
  libc.close(fd)
  return size < ANSWER_BYTES ? undefined : foundIn(answer, near.port, far.port)
}

function questionAbout(near: SocketPlace, far: SocketPlace): Buffer {
  const [own, other] = [addressBytes(near.address), addressBytes(far.address)]
  const question = Buffer.alloc(QUESTION_BYTES)
  question.writeUInt32LE(question.length, 0)
  question.writeUInt16LE(SOCK_DIAG_BY_FAMILY, 4)
  question.writeUInt16LE(NLM_F_REQUEST, 6)
  question.writeUInt8(own.length === 4 ? AF_INET : AF_INET6, HEADER_BYTES)
  question.writeUInt8(IPPROTO_TCP, HEADER_BYTES + 1)
  // In every state.
  question.writeUInt32LE(ANY, HEADER_BYTES + 4)
  question.writeUInt16BE(near.port, ASKED_ID_AT)
  question.writeUInt16BE(far.port, ASKED_ID_AT + 2)
  question.set(own, ASKED_ID_AT + 4)
  question.set(other, ASKED_ID_AT + 20)
  // INET_DIAG_NOCOOKIE
  question.fill(0xff, ASKED_ID_AT + 40)
  return question
}

/**
 * Where there is no connection the kernel tells of whoever listens at that port instead. Of a socket that is nobody's any more it
 * says uid 0, and inode 0: read behind the uid, so that an inode says that the uid was somebody's.
 */
function foundIn(answer: Buffer, nearPort: number, farPort: number): Found | undefined {
  if (answer.readUInt16LE(4) !== SOCK_DIAG_BY_FAMILY) return undefined
  const isAsked = answer.readUInt16BE(TOLD_ID_AT) === nearPort && answer.readUInt16BE(TOLD_ID_AT + 2) === farPort
  const inode = answer.readUInt32LE(INODE_AT)
  return isAsked && inode !== 0 ? { uid: answer.readUInt32LE(UID_AT), inode } : undefined
}

/** A socket that listens at a port of loopback for as long as it takes to ask for it. */
function proveOnOwnListener(libc: Libc): void {
  const fd = libc.socket(AF_INET, SOCK_STREAM_CLOEXEC, 0)
  try {
    const name = Buffer.from([AF_INET, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    const length = Buffer.from([name.length, 0, 0, 0])
    const isListening = fd >= 0 && libc.bind(fd, name, name.length) === 0 && libc.listen(fd, 1) === 0
    if (!isListening || libc.getsockname(fd, name, length) !== 0) throw unable('a port of loopback to try it on')
    const near = { address: '127.0.0.1', port: name.readUInt16BE(2) }
    const found = ask(libc, near, { address: '0.0.0.0', port: 0 })
    if (found?.uid !== process.geteuid?.() || `socket:[${found?.inode}]` !== readlinkSync(`/proc/self/fd/${fd}`))
      throw unable('a kernel and a node:ffi that agree about sockets; the self-test read something else')
  } finally {
    if (fd >= 0) libc.close(fd)
  }
}

function unable(need: string, cause?: unknown): Error {
  return new Error(`to tell whose a TCP socket is takes ${need}`, { cause })
}

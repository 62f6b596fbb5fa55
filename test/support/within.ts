import { closeSync, openSync } from 'node:fs'
import { Socket } from 'node:net'
import { openLibc } from '../../src/wire/libc.ts'
import type { Host } from './networks.ts'

const CLONE_NEWNET = 0x40_00_00_00
const FAMILY = { ipv4: 2, ipv6: 10 } as const
const SOCK_STREAM = 1
const SOCK_CLOEXEC = 0x8_00_00

const SIGNATURES = {
  setns: { return: 'int32', arguments: ['int32', 'int32'] },
  setfsuid: { return: 'int32', arguments: ['uint32'] },
  socket: { return: 'int32', arguments: ['int32', 'int32', 'int32'] },
} as const

/**
 * Runs something in the network of that host, in this very process: sockets stay where they were made. It must not wait: the
 * thread is there only until it returns. `listen` without a host, or with a path, binds at once.
 */
export function within<T>({ network }: Pick<Host, 'network'>, run: () => T): T {
  const { setns } = libc()
  const own = openSync('/proc/self/ns/net', 'r')
  const there = openSync(network, 'r')
  try {
    if (setns(there, CLONE_NEWNET) !== 0) throw new Error('setns(2) failed')
    return run()
  } finally {
    if (setns(own, CLONE_NEWNET) !== 0) process.abort()
    closeSync(own)
    closeSync(there)
  }
}

/** A socket of this user in the network of that host, that connects to this address: what an app there would have. */
export function dial(host: Pick<Host, 'network'>, uid: number, to: { readonly host: string; readonly port: number }) {
  const { socket, setfsuid } = libc()
  const fd = within(host, () => {
    setfsuid(uid)
    const made = socket(to.host.includes(':') ? FAMILY.ipv6 : FAMILY.ipv4, SOCK_STREAM | SOCK_CLOEXEC, 0)
    setfsuid(0)
    return made
  })
  if (fd < 0) throw new Error('socket(2) failed')
  return new Socket({ fd, readable: true, writable: true }).connect(to)
}

function libc() {
  return openLibc(SIGNATURES, (need, cause) => new Error(`apps of this process need ${need}`, { cause }))
}

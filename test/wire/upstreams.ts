import { once } from 'node:events'
import { type AddressInfo, BlockList, createServer, type Socket } from 'node:net'
import { createSecureContext, createServer as createTlsServer, type TLSSocket, type TlsOptions } from 'node:tls'
import { expect, onTestFinished } from 'vitest'
import type { ProblemCode } from '../../src/core/problem.ts'
import { createDialer, type Destination } from '../../src/wire/dial.ts'
import type { NameResolver } from '../../src/wire/resolve.ts'
import { type Identity, makeAuthority } from '../support/certificates.ts'
import { makeOddAuthority } from './odd-certificates.ts'

/** Trusted by every destination of these tests, with `odd`. */
export const authority = await makeAuthority()
/** Trusted, and signs anything. */
export const odd = await makeOddAuthority()
const trust = createSecureContext({ ca: [authority.certPem, odd.certPem] })
const LOOPBACK = ranges(['127.0.0.0', 8])

type Wish = Partial<Destination> & Pick<Destination, 'host' | 'port'>

/** Dials with a resolver that gives these addresses; 127.0.0.0/8 is allowed unless the wish says otherwise. */
export function dial(
  wish: Wish,
  addresses: readonly string[] = ['127.0.0.1'],
  signal?: AbortSignal,
): Promise<Socket | TLSSocket> {
  return createDialer({ resolver: always(addresses) })
    .dial(destination(wish), signal)
    .then((socket) => {
      onTestFinished(() => void socket.destroy())
      return socket
    })
}

/** A whole destination around what matters to the test. */
export function destination(wish: Wish): Destination {
  return { tls: trust, allowPrivate: LOOPBACK, timeoutMs: 5000, ...wish }
}

/** A resolver that gives these addresses for any name. */
export function always(addresses: readonly string[]): NameResolver {
  return { resolve: () => Promise.resolve(addresses) }
}

/** IPv4 ranges as a lookup. */
export function ranges(...rules: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList()
  for (const [address, bits] of rules) list.addSubnet(address, bits)
  return list
}

/** The work rejects with a Problem of this code. */
export async function expectProblem(work: Promise<unknown>, code: ProblemCode): Promise<void> {
  await expect(work).rejects.toMatchObject({ name: 'Problem', code })
}

/** A TCP server that counts whom it accepts: nobody, where there must be no SYN. */
export async function listener(host = '127.0.0.1', port = 0, serve: (socket: Socket) => void = () => {}) {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket.on('error', () => {}).resume())
    serve(socket)
  })
  const arrived = once(server, 'connection')
  server.listen({ port, host })
  await once(server, 'listening')
  const close = async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
  onTestFinished(() => close())
  // The server listens on TCP, so it has an AddressInfo.
  return { port: (server.address() as AddressInfo).port, sockets, arrived, close, accepted: () => sockets.length }
}

/** Counts the bytes of the application that reach it. */
export async function tlsUpstream(
  identity: Identity,
  options: TlsOptions = {},
  serve: (socket: TLSSocket) => void = () => {},
) {
  let bytes = 0
  const sockets = new Set<Socket>()
  const server = createTlsServer({ ...identity, ...options }, (socket) => {
    socket.on('error', () => {}).on('data', (chunk: Buffer) => (bytes += chunk.length))
    serve(socket)
  })
  server.on('connection', (socket) => sockets.add(socket)).on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return { port: (server.address() as AddressInfo).port, received: () => bytes }
}

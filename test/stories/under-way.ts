import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:http2'
import { createServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { WebSocketServer } from 'ws'
import type { Clock } from '../../src/core/clock.ts'
import { helloFor } from '../support/hello.ts'
import { type HouseInside, openHouseInside } from '../support/house.ts'
import { startPeer } from '../support/peers.ts'
import { eventually, remove } from '../support/sallyport.ts'
import { openTunnel, secureTunnel } from '../support/tunnel.ts'
import { OK, type Step, startUpstream } from '../support/upstream.ts'
import { authority, connectionTo, crmDirectory, hold, type Line, PROOF } from './crm.ts'

/** The connections of this stage; each lets one thing be under way at once. */
export const CONNECTIONS = ['crm', 'chat', 'passed', 'minted'] as const
const HOSTS = ['api.crm.test', 'chat.test', 'passed.test', 'minted.test']

/** Something under way, seen from both sides. */
export interface Going {
  readonly connection: string
  /** How it ended for the caller, once it has. */
  ended(): 'clean' | 'reset' | undefined
  /** What the caller has been sent. */
  text(): string
  /** Whether the other side has lost its connection. */
  isGone(): boolean
}

/** A sidecar in this process, and everything that can be under way in it. */
export interface Stage {
  readonly sallyport: HouseInside
  /** Where its settings and its secrets are. */
  readonly directory: string
  /** Starts one, and waits until it is really under way; by name. */
  readonly things: Readonly<Record<string, () => Promise<Going>>>
  close(): Promise<void>
}

/** Opens it. */
export async function openStage(clock?: Clock): Promise<Stage> {
  const directory = crmDirectory()
  const identity = await authority.issue(HOSTS)
  const upstream = await startUpstream((head) => answerTo(head.split(' ')[1] ?? ''), identity)
  const peer = await startPeer((socket) => socket.write('hello'))
  const issuer = await startPeer()
  const chat = createServer(identity).listen(0, '127.0.0.1')
  const sockets = new WebSocketServer({ server: chat })
  await once(chat, 'listening')
  const { port } = chat.address() as AddressInfo // of a TCP server
  const ports = { upstream: upstream.port, peer: peer.port, issuer: issuer.port, chat: port }
  const sallyport = await openHouseInside(directory, settingsFor(ports), clock)
  const door = () => sallyport.door('forward')
  let serial = 0

  const ask = (path: string, { host = 'api.crm.test', method = 'GET', more = '\r\n', at = door() } = {}): Line => {
    const target = at.startsWith('unix:') ? path : `http://${host}${path}`
    const proof = at.startsWith('unix:') ? PROOF.replace('Proxy-A', 'A') : PROOF
    return hold(
      at,
      `${method} ${target} HTTP/1.1\r\nHost: ${at.startsWith('unix:') ? 'localhost' : host}\r\n${proof}${more}`,
    )
  }
  const lastUpstream = () => {
    const recorded = upstream.connections.at(-1)
    return () => recorded?.closed === true
  }
  const going = (connection: string, line: Pick<Line, 'ended' | 'text'>, isGone = lastUpstream()): Going => ({
    connection,
    ended: line.ended,
    text: line.text,
    isGone,
  })
  const download = async (path: string, at?: string) => {
    const line = ask(`${path}/${++serial}`, at ? { at } : {})
    await shown(line, /first/)
    return going('crm', line)
  }
  const unanswered = async (method: string, more?: string) => {
    const path = `/hang/${++serial}`
    const line = ask(path, { method, ...(more !== undefined && { more }) })
    await eventually(() => upstream.heads().find((head) => head.includes(` ${path} `)), `${path} at the upstream`)
    return going('crm', line)
  }
  const tunnel = async (target: string) => {
    const { socket } = await openTunnel(door(), target, { fields: PROOF })
    onTestFinished(() => void socket.destroy())
    return socket
  }
  const opened = async (protocol: string) => {
    const socket = await tunnel(`api.crm.test:${upstream.port}`)
    const ca = readFileSync(join(directory, 'ca', 'ca.pem'))
    const secured = await secureTunnel(socket, 'api.crm.test', { ca, ALPNProtocols: [protocol] })
    return { secured, line: watch(secured) }
  }
  const handshake = (host: string, path: string) =>
    ask(path, {
      host,
      more: 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
    })
  const lastPeer = () => {
    const socket = peer.sockets.at(-1)
    return () => socket?.destroyed === true || socket?.readableEnded === true
  }

  const things = {
    'a download': () => download('/stream'),
    'a download of a known length': () => download('/long'),
    'a download at a Unix socket': () => download('/stream', sallyport.door('reverse')),
    'a request without an answer': () => unanswered('GET'),
    'an upload': () => unanswered('POST', 'Content-Length: 100\r\n\r\npart'),
    'a wait for a mint': async () => {
      const line = ask('/minted', { host: 'minted.test' })
      // A mint is nobody's: it goes on for the asks after the one that was cut.
      await eventually(() => issuer.sockets[0], 'a mint under way')
      await shown(ask('/answered', { host: 'unknown.test' }), /403/)
      return going('minted', line, () => true)
    },
    'a WebSocket': async () => {
      const connected = once(sockets, 'connection')
      const line = handshake('chat.test', '/chat')
      await shown(line, /101 Switching/)
      const [socket] = await connected
      return going('chat', line, () => socket.readyState === socket.CLOSED)
    },
    'a WebSocket handshake': async () => {
      const path = `/hang/${++serial}`
      const line = handshake('api.crm.test', path)
      await eventually(() => upstream.heads().find((head) => head.includes(` ${path} `)), `${path} at the upstream`)
      return going('crm', line)
    },
    'an unopened tunnel': async () => {
      const socket = await tunnel(`passed.test:${peer.port}`)
      const line = watch(socket)
      socket.write(await helloFor('passed.test'))
      await shown(line, /hello/)
      return going('passed', line, lastPeer())
    },
    'an unopened tunnel in which nothing was said': async () => {
      const before = peer.sockets.length
      const line = watch(await tunnel(`passed.test:${peer.port}`))
      await eventually(() => peer.sockets[before], 'a connection of the tunnel')
      return going('passed', line, lastPeer())
    },
    'an opened tunnel in which nothing was said': async () => {
      const line = watch(await tunnel(`api.crm.test:${upstream.port}`))
      return going('crm', line, () => true)
    },
    'a download in an opened tunnel': async () => {
      const { secured, line } = await opened('http/1.1')
      secured.write(`GET /stream/${++serial} HTTP/1.1\r\nHost: api.crm.test:${upstream.port}\r\n\r\n`)
      await shown(line, /first/)
      return going('crm', line)
    },
    'a stream of HTTP/2 in an opened tunnel': async () => {
      const { secured, line } = await opened('h2')
      const session = connect(`https://api.crm.test:${upstream.port}`, { createConnection: () => secured })
      session.on('error', () => undefined)
      const stream = session.request({ ':path': `/stream/${++serial}` })
      let text = ''
      let isWhole = false
      stream.on('data', (chunk: Buffer) => (text += chunk.toString())).on('end', () => (isWhole = !stream.aborted))
      stream.on('error', () => undefined)
      await shown({ text: () => text }, /first/)
      const ended = () => (isWhole ? 'clean' : stream.closed ? 'reset' : line.ended())
      return going('crm', { ended, text: () => text })
    },
  }
  return {
    sallyport,
    directory,
    things,
    async close() {
      await sallyport.house.close()
      for (const socket of sockets.clients) socket.terminate()
      chat.close()
      await Promise.all([upstream.close(), peer.close(), issuer.close()])
      remove(directory)
    },
  }
}

function settingsFor(ports: Readonly<Record<'upstream' | 'peer' | 'issuer' | 'chat', number>>): object {
  const limits = { maxConcurrent: 1 }
  const credential = {
    kind: 'client-credentials',
    tokenEndpoint: `https://passed.test:${ports.issuer}/token`,
    clientId: 'crm',
    clientSecret: { file: 'credential' },
    allowPrivate: ['127.0.0.0/8'],
  }
  return {
    listeners: [
      { kind: 'forward', listen: '127.0.0.1:0' },
      { kind: 'reverse', listen: 'unix:crm.sock', connection: 'crm' },
    ],
    ca: { directory: 'ca' },
    allowlist: HOSTS,
    callers: { checkout: { kind: 'api-key', key: { file: 'checkout' } } },
    connections: {
      crm: connectionTo('api.crm.test', ports.upstream, { limits, websocket: true }),
      chat: connectionTo('chat.test', ports.chat, { limits, websocket: true }),
      passed: connectionTo('passed.test', ports.peer, { limits, credential: { kind: 'none' }, connect: 'tunnel' }),
      minted: connectionTo('minted.test', ports.upstream, { limits, credential }),
    },
    dns: { hosts: Object.fromEntries(HOSTS.map((host) => [host, ['127.0.0.1']])) },
  }
}

function answerTo(path: string): readonly Step[] {
  if (path.startsWith('/stream'))
    return [{ send: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n' }, 'hang']
  if (path.startsWith('/long')) return [{ send: 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfirst' }, 'hang']
  return path.startsWith('/hang') ? ['hang'] : OK
}

function shown(line: Pick<Line, 'text'>, what: RegExp): Promise<unknown> {
  return eventually(() => what.exec(line.text()) ?? undefined, `${what} at the caller`)
}

function watch(socket: Socket): Pick<Line, 'ended' | 'text'> {
  let text = ''
  let end: 'clean' | 'reset' | undefined
  socket.on('error', () => (end = 'reset')).on('close', () => (end ??= 'clean'))
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1'))).resume()
  return { text: () => text, ended: () => end }
}

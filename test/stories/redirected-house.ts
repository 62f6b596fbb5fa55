import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { Server, Socket } from 'node:net'
import { join } from 'node:path'
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'
import { WebSocketServer } from 'ws'
import { type Answer, askDoor } from '../admin/door.ts'
import { makeNetworks, type Networks } from '../support/networks.ts'
import { type Peer, startPeer } from '../support/peers.ts'
import { eventually, type Running, remove, startSallyport } from '../support/sallyport.ts'
import { OK, type RawUpstream, type Step, startUpstream } from '../support/upstream.ts'
import { dial, within } from '../support/within.ts'
import { authority, connectionTo, crmDirectory } from './crm.ts'
import { API, APP_UID, ELSEWHERE, OTHER_UID, rulesFor, SALLYPORT_UID } from './redirected.ts'

/** Where each server of the world listens, at every address of it. */
export const PORTS = { crm: 443, passed: 7443, chat: 8443, flood: 9443, words: 10443 } as const
const EVERY_PORT = `80, ${Object.values(PORTS).join(', ')}`

/** A pod whose traffic is redirected. Servers of the world, and apps of the pod, are sockets of this very process. */
export interface RedirectedHouse {
  readonly sallyport: Running
  readonly networks: Networks
  /** Our authority, as apps trust it. */
  readonly ca: string
  /** `crm`, and every other connection that is at port 443. */
  readonly upstream: RawUpstream
  /** What the upstream does, by path; without one it says ok. */
  readonly answers: Map<string, readonly Step[]>
  readonly chat: WebSocketServer
  /** Behind `passed`, and read by nobody on the way. */
  readonly passed: Peer
  readonly settings: object
  /** Connects as an app of this user would. It is there until the end, or until a test closes it. */
  app(port: number, options?: AppOptions): Socket
  /** The same, and TLS in which the client trusts our authority. */
  secure(host: string, options?: ConnectionOptions & AppOptions & { readonly port?: number }): TLSSocket
  ask(method: string, path: string, body?: unknown): Promise<Answer>
  /** Writes other settings, and waits until they hold. */
  reload(settings: object): Promise<void>
  entry(wanted: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>>
  close(): Promise<void>
}

interface AppOptions {
  readonly uid?: number
  readonly address?: string
}

interface Wishes {
  readonly settings?: object
  /** Of the connection `crm`. */
  readonly connection?: object
  /** Further connections: each is granted to `app`, at `NAME.test`. */
  readonly connections?: Readonly<Record<string, object>>
  /** What our resolver says of hosts that are elsewhere than the rest. */
  readonly hosts?: Readonly<Record<string, readonly string[]>>
  /** Starts what else is in the world; `at` makes a server listen there. */
  world?(at: (port: number) => (server: Server) => void): Promise<unknown> | undefined
}

/** Opens it. */
export async function openRedirected(wishes: Wishes = {}): Promise<RedirectedHouse> {
  const closers: (() => unknown)[] = []
  const close = async () => {
    for (const one of closers.toReversed()) await one()
  }
  try {
    return { ...(await furnish(wishes, closers)), close }
  } catch (error) {
    await close()
    throw error
  }
}

const NEAR = { allowPrivate: ['203.0.113.0/24', '2001:db8::/32'] }

async function furnish(wishes: Wishes, closers: (() => unknown)[]): Promise<Omit<RedirectedHouse, 'close'>> {
  const directory = crmDirectory()
  closers.push(() => remove(directory))
  const networks = await makeNetworks(directory, [`${API.ipv4}/32`, `${API.ipv6}/128`, `${ELSEWHERE.ipv4}/32`])
  closers.push(() => networks.close())
  const { connections, hosts } = connectionsOf(wishes)
  const identity = await authority.issue(hosts)
  const at = (port: number) => (server: Server) => within(networks.world, () => void server.listen(port))
  const answers = new Map<string, readonly Step[]>()
  const upstream = await startUpstream((head) => answers.get(head.split(' ')[1] ?? '') ?? OK, identity, at(PORTS.crm))
  const passed = await startPeer((socket) => socket.write('hello'), at(PORTS.passed))
  closers.push(() => Promise.all([upstream.close(), passed.close()]))
  const chat = startChat(identity, at(PORTS.chat))
  closers.push(() => endChat(chat))
  await wishes.world?.(at)
  networks.pod.rules(rulesFor(undefined, EVERY_PORT))
  execFileSync('chown', ['--recursive', `${SALLYPORT_UID}:${SALLYPORT_UID}`, directory])
  const settings = settingsOf(wishes, connections, hosts)
  const env = { NODE_COMPILE_CACHE: join(directory, 'cache') }
  const sallyport = await startSallyport(directory, settings, { by: networks.pod.as(SALLYPORT_UID), env })
  closers.push(() => sallyport.stop('SIGKILL'))
  const ca = readFileSync(join(directory, 'ca/ca.pem'), 'utf8')
  const sockets = new Set<Socket>()
  closers.push(() => sockets.forEach((socket) => socket.destroy()))
  const app = (port: number, { uid = APP_UID, address = API.ipv4 }: AppOptions = {}) => {
    const socket = dial(networks.pod, uid, { host: address, port })
    sockets.add(socket.on('error', () => undefined))
    return socket
  }
  let reloads = 0
  return {
    sallyport,
    networks,
    ca,
    upstream,
    answers,
    chat,
    passed,
    settings,
    app,
    secure(host, { port = PORTS.crm, uid, address, ...options } = {}) {
      const socket = app(port, { ...(uid !== undefined && { uid }), ...(address !== undefined && { address }) })
      const secured = connectTls({ socket, servername: host, ca, ...options })
      return secured.on('error', () => undefined)
    },
    ask: (method, path, body) => askDoor(sallyport.admin ?? '', { method, path, key: undefined, body }),
    async reload(next) {
      const said = () => sallyport.output().match(/settings were read again/g)?.length ?? 0
      writeFileSync(join(directory, 'sallyport.yaml'), JSON.stringify({ ...ALWAYS, ...next }))
      process.kill(sallyport.pid, 'SIGHUP')
      reloads += 1
      await eventually(() => said() >= reloads || undefined, 'the settings to be read again')
    },
    entry: (wanted) =>
      eventually(
        async () => {
          const all = await sallyport.audit(0)
          return all.find((entry) => Object.entries(wanted).every(([key, value]) => entry[key] === value))
        },
        `an entry with ${JSON.stringify(wanted)}`,
      ),
  }
}

const ALWAYS = { audit: { sinks: [{ kind: 'json-lines', path: 'audit.jsonl' }] }, log: { level: 'debug' } }

function connectionsOf({ connection = {}, connections = {} }: Wishes) {
  const unread = { ...NEAR, credential: { kind: 'none' }, connect: 'tunnel' }
  const all: Record<string, object> = {
    crm: connectionTo('crm.test', PORTS.crm, { ...NEAR, websocket: true, ...connection }),
    chat: connectionTo('chat.test', PORTS.chat, { ...NEAR, websocket: true }),
    passed: connectionTo('passed.test', PORTS.passed, unread),
    other: connectionTo('other.test', PORTS.crm, NEAR),
    ...Object.fromEntries(
      Object.entries(connections).map(([name, more]) => [
        name,
        connectionTo(`${name}.test`, PORTS.crm, { ...NEAR, ...more }),
      ]),
    ),
  }
  return { connections: all, hosts: Object.keys(all).map((name) => `${name}.test`) }
}

function settingsOf(
  { settings = {}, hosts: elsewhere = {} }: Wishes,
  connections: object,
  hosts: readonly string[],
): object {
  return {
    listeners: [
      { kind: 'transparent', listen: '127.0.0.1:15002', caller: 'app' },
      { kind: 'transparent', listen: '[::1]:15002', caller: 'app' },
      { kind: 'transparent', listen: '127.0.0.1:15003', caller: 'stranger' },
    ],
    admin: { listen: 'unix:admin.sock' },
    ca: { directory: 'ca' },
    allowlist: hosts,
    callers: { app: { kind: 'socket' }, stranger: { kind: 'socket' } },
    connections,
    // `stranger` may use one of them, at the host that they share an address with.
    grants: [
      ...Object.keys(connections)
        .filter((name) => name !== 'other')
        .map((connection) => ({ caller: 'app', connection })),
      { caller: 'stranger', connection: 'other' },
    ],
    dns: { hosts: { ...Object.fromEntries(hosts.map((host) => [host, [API.ipv4]])), ...elsewhere } },
    ...settings,
  }
}

function startChat(identity: { readonly key: string; readonly cert: string }, listen: (server: Server) => void) {
  const server = createServer(identity)
  const chat = new WebSocketServer({ server })
  chat.on('connection', (socket) => socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })))
  listen(server)
  return chat
}

function endChat(chat: WebSocketServer): void {
  for (const socket of chat.clients) socket.terminate()
  chat.options.server?.close()
}

export { APP_UID, OTHER_UID }

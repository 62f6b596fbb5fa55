import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { chmodSync, copyFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathOf } from '../support/debian.ts'
import { type Host, makeNetworks, type Networks } from '../support/networks.ts'
import { eventually, type Running, remove, startSallyport, writeSecret } from '../support/sallyport.ts'
import { authority, connectionTo, crmDirectory } from './crm.ts'

/** As in everything that is shipped. */
export const SALLYPORT_UID = 65_532
/** Of the app that may, of the one that may not, and of one that nothing is redirected of. */
export const APP_UID = 1001
export const OTHER_UID = 1002
export const FREE_UID = 1003

/** Where the API really is, and where nobody is to get to. */
export const API = { ipv4: '203.0.113.7', ipv6: '2001:db8:7::7' } as const
export const ELSEWHERE = { ipv4: '203.0.113.66', ipv6: '2001:db8:7::66' } as const

/** What a pod with a transparent door has for rules; `free` says of which connections nothing is redirected. */
export function rulesFor(free = `meta skuid ${SALLYPORT_UID} accept`, ports = '80, 443, 8080'): string {
  return `table inet sallyport {
    chain apps {
      type nat hook output priority -100; policy accept;
      ${free}
      fib daddr type local accept
      meta skuid ${OTHER_UID} tcp dport { 80, 443 } redirect to :15003
      tcp dport { ${ports} } redirect to :15002
    }
    chain rest {
      type filter hook output priority filter; policy drop;
      fib daddr type local accept
      ct state established,related accept
      meta skuid ${SALLYPORT_UID} accept
      icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit } accept
      counter
    }
  }
`
}

/** What the world has seen: one for each connection, and for each request. */
export interface Seen {
  readonly connection?: string
  readonly request?: string
  readonly httpVersion?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** A pod whose traffic is redirected, and the world around it. */
export interface Site {
  readonly sallyport: Running
  readonly networks: Networks
  /** File of our authority's certificate, that apps may read. */
  readonly caFile: string
  seen(): readonly Seen[]
  close(): Promise<void>
}

/** Starts all of it; the rules hold. */
export async function openSite(): Promise<Site> {
  const closers: (() => unknown)[] = []
  const close = async () => {
    for (const one of closers.toReversed()) await one()
  }
  try {
    return { ...(await furnish(closers)), close }
  } catch (error) {
    await close()
    throw error
  }
}

async function furnish(closers: (() => unknown)[]): Promise<Omit<Site, 'close'>> {
  const directory = crmDirectory()
  closers.push(() => remove(directory))
  // Apps may pass through, to what is for them.
  chmodSync(directory, 0o711)
  const addresses = [...Object.values(API), ...Object.values(ELSEWHERE)]
  const networks = await makeNetworks(directory, addresses.map(withLength))
  closers.push(() => networks.close())
  const { cert, key } = await authority.issue(['api.crm.test', 'unread.test', 'ungranted.test'])
  const files = [writeSecret(directory, 'world-key.pem', key), writeSecret(directory, 'world.pem', cert)]
  const world = await startWorld(networks.world, files)
  closers.push(() => world.process.kill('SIGKILL'))
  networks.pod.rules(rulesFor())
  const all = Object.values(API)
  networks.pod.names({
    'api.crm.test': all,
    'unread.test': all,
    'ungranted.test': all,
    'elsewhere.test': all,
  })
  execFileSync('chown', ['--recursive', `${SALLYPORT_UID}:${SALLYPORT_UID}`, directory])
  const by = networks.pod.as(SALLYPORT_UID)
  const env = { NODE_COMPILE_CACHE: join(directory, 'cache') }
  const sallyport = await startSallyport(directory, settings(), { by, env })
  closers.push(() => sallyport.stop('SIGKILL'))
  const caFile = join(directory, 'ca-for-apps.pem')
  copyFileSync(join(directory, 'ca/ca.pem'), caFile)
  chmodSync(caFile, 0o644)
  chmodSync(join(directory, 'ca.pem'), 0o644)
  return {
    sallyport,
    networks,
    caFile,
    seen: world.seen,
  }
}

function withLength(address: string): string {
  return `${address}/${address.includes(':') ? 128 : 32}`
}

function settings(): object {
  const hosts = Object.values(API)
  const near = { allowPrivate: ['203.0.113.0/24', '2001:db8::/32'] }
  const unread = { ...near, credential: { kind: 'none' }, connect: 'tunnel' }
  return {
    listeners: [
      { kind: 'transparent', listen: '127.0.0.1:15002', caller: 'app' },
      { kind: 'transparent', listen: '[::1]:15002', caller: 'app' },
      { kind: 'transparent', listen: '127.0.0.1:15003', caller: 'other' },
    ],
    ca: { directory: 'ca' },
    allowlist: ['api.crm.test', 'unread.test', 'ungranted.test'],
    callers: { app: { kind: 'socket' }, other: { kind: 'socket' } },
    connections: {
      crm: connectionTo('api.crm.test', 443, near),
      unread: connectionTo('unread.test', 443, unread),
      ungranted: connectionTo('ungranted.test', 443, near),
    },
    grants: [
      { caller: 'app', connection: 'crm' },
      { caller: 'app', connection: 'unread' },
    ],
    dns: { hosts: { 'api.crm.test': hosts, 'unread.test': hosts, 'ungranted.test': hosts } },
  }
}

async function startWorld(host: Host, files: readonly string[]) {
  const server = new URL('../support/world-server.ts', import.meta.url).pathname
  const [program = '', ...args] = [...host.as(0), process.execPath, server, ...files]
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  let out = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (out += chunk))
  const lines = () =>
    out
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line))
  await eventually(() => lines().find(({ ready }) => ready), 'the world')
  return { process: child as ChildProcess, seen: (): readonly Seen[] => lines().filter(({ ready }) => !ready) }
}

/** What a program printed, and how it ended. */
export interface Ran {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** Runs an app in the pod. It is told the authority, as apps are, and nothing of a proxy. */
export async function runApp({ networks, caFile }: Site, uid: number, command: readonly string[]): Promise<Ran> {
  const [program = '', ...args] = [...networks.pod.as(uid), ...command]
  const env = { PATH: '/usr/bin:/bin', HOME: '/nonexistent', SSL_CERT_FILE: caFile, NODE_EXTRA_CA_CERTS: caFile }
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, err, code] = await Promise.all([
    child.stdout.setEncoding('utf8').toArray(),
    child.stderr.setEncoding('utf8').toArray(),
    new Promise<number | null>((resolve) => child.once('close', resolve)),
  ])
  return { code, out: out.join(''), err: err.join('') }
}

let knocks = 0

/**
 * What the world has seen so far, without gaps: one that may leave unasked, as Sallyport does, asks there for a page of its own,
 * and what is told before that has all been told. Neither that request nor its connection is among it.
 */
export async function seenSoFar(site: Site): Promise<readonly Seen[]> {
  const page = `/knock/${++knocks}`
  const trust = ['--cacert', join(site.sallyport.directory, 'ca.pem')]
  const asking = [pathOf('curl'), '--silent', '--show-error', ...trust, `https://api.crm.test${page}`]
  const { code, err } = await runApp(site, SALLYPORT_UID, asking)
  if (code !== 0) throw new Error(`nobody could knock: ${err}`)
  const isKnock = ({ request = '' }: Seen) => request.startsWith('GET /knock/')
  await eventually(() => site.seen().find(({ request }) => request === `GET ${page}`), 'the knock to be told')
  const all = site.seen()
  return all.filter((one, at) => !isKnock(one) && !isKnock(all[at + 1] ?? {}))
}

/** Connects from the pod, sends bytes, and says what came back until it was closed. */
export function sendFrom(site: Site, to: { readonly host: string; readonly port: number }, bytes: Buffer | string) {
  const script = `
    const [host, port, hex] = process.argv.slice(1)
    const socket = require('node:net').connect({ host, port }, () => socket.write(Buffer.from(hex, 'hex')))
    socket.on('error', (error) => console.log(error.code)).on('data', (chunk) => console.log(chunk.toString('hex')))
    socket.on('close', () => console.log('closed'))`
  const hex = Buffer.from(bytes).toString('hex')
  return runApp(site, APP_UID, [process.execPath, '--eval', script, to.host, String(to.port), hex])
}

/** How many packets the rules have dropped. */
export function droppedPackets({ networks }: Site): number {
  const listed = networks.pod.run(pathOf('nft'), 'list', 'chain', 'inet', 'sallyport', 'rest')
  return Number(/counter packets (\d+)/.exec(listed)?.[1])
}

/** The rules that the reference tells people to load. */
export function documentedRules(): string {
  const reference = readFileSync(new URL('../../config/README.md', import.meta.url), 'utf8')
  return /```\n(table inet sallyport [\s\S]*?)```/.exec(reference)?.[1] ?? 'none'
}

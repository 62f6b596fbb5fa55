import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'
import type { Host } from './networks.ts'

/** TCP servers in a network of its own, which say who and where they are, and UDP servers, which do the same. */
export async function startServers(host: Host, wanted: ServersWanted): Promise<() => void> {
  const child = start(host, wanted.uid ?? 0, SERVERS, JSON.stringify(wanted))
  const ended = once(child, 'exit').then(() => Promise.reject(new Error('the servers did not start')))
  await Promise.race([once(child.stdout ?? child, 'data'), ended])
  ended.catch(() => undefined)
  return () => void child.kill('SIGKILL')
}

interface ServersWanted {
  readonly says: string
  readonly listen: readonly { readonly host: string; readonly port: number }[]
  /** UDP; each at an address, or an answer would come from another one. */
  readonly names?: readonly { readonly host: string; readonly port: number }[]
  readonly uid?: number
}

/** One thing to try: TCP without `udp`. */
export interface Try {
  readonly host: string
  readonly port: number
  readonly udp?: true
}

/** What each came to, as this user: what a server said, or the code of the error. All at once, each within three seconds. */
export async function probe(host: Host, uid: number, tries: readonly Try[]): Promise<readonly string[]> {
  const { stdout } = await promisify(execFile)(...commandFor(host, uid, PROBE, JSON.stringify(tries)))
  return JSON.parse(stdout) as string[] // our own script has printed it
}

/** Becomes the user after it has started: a Node below the home of root is not there for others. */
export function commandFor(host: Host, uid: number, script: string, ...args: readonly string[]): [string, string[]] {
  const become = `process.setgroups([]); process.setgid(${uid}); process.setuid(${uid});`
  const [program = '', ...enter] = host.as(0)
  return [program, [...enter, process.execPath, '-e', `${become}\n${script}`, ...args]]
}

function start(host: Host, uid: number, script: string, ...args: readonly string[]): ChildProcess {
  return spawn(...commandFor(host, uid, script, ...args), { stdio: ['ignore', 'pipe', 'inherit'] })
}

const SERVERS = `
const { says, listen, names = [] } = JSON.parse(process.argv[1])
const net = require('node:net'), dgram = require('node:dgram')
const up = listen.map(({ host, port }) => new Promise((resolve) =>
  net.createServer((socket) => socket.on('error', () => {}).end(says + ' ' + socket.localPort)).listen({ host, port }, resolve)))
for (const { host, port: own } of names) up.push(new Promise((resolve) => {
  const server = dgram.createSocket(net.isIPv6(host) ? 'udp6' : 'udp4')
  server.on('message', (text, { port, address }) => server.send(says + ' ' + own, port, address)).bind(own, host, resolve)
}))
Promise.all(up).then(() => console.log('up'))`

const PROBE = `
const net = require('node:net'), dgram = require('node:dgram')
const tcp = ({ host, port }) => new Promise((resolve) => {
  let said = ''
  const socket = net.connect({ host, port, autoSelectFamily: false })
  socket.setTimeout(3000, () => { resolve('silence'); socket.destroy() })
  socket.on('data', (bytes) => said += bytes).on('close', () => resolve(said)).on('error', ({ code }) => resolve(code))
})
const udp = ({ host, port }) => new Promise((resolve) => {
  const socket = dgram.createSocket(net.isIPv6(host) ? 'udp6' : 'udp4')
  const end = (text) => { resolve(text); clearTimeout(timer); socket.close() }
  const timer = setTimeout(() => end('silence'), 3000)
  socket.on('error', ({ code }) => end(code)).on('message', (text) => end(String(text)))
  socket.connect(port, host, () => socket.send('?', (error) => error && end(error.code)))
})
Promise.all(JSON.parse(process.argv[1]).map((one) => one.udp ? udp(one) : tcp(one))).then((all) => console.log(JSON.stringify(all)))`

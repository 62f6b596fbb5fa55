import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { createServer } from 'node:tls'
import { bundle } from '../../deploy/build.ts'
import { MiB, memoryOf } from '../stories/flood.ts'
import { type Identity, makeAuthority } from '../support/certificates.ts'
import { privateDirectory, remove, writeSecret } from '../support/sallyport.ts'
import { openTunnel, secureTunnel } from '../support/tunnel.ts'
import { benchSettings } from './settings.ts'
import { BODY_BYTES, startBenchUpstream } from './upstream.ts'

/**
 * How much memory the bundle takes in each kind of work, each in a process of its own: idle, then the most that was
 * resident, and what is left when the work is over. What a container's limit has to leave room for. V8 makes its heap as
 * large as the limit lets it: with BENCH_CGROUP, the directory of a memory cgroup that has one, the process begins in there.
 */
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 10)
const CGROUP = process.env['BENCH_CGROUP']

const directory = privateDirectory()
const key = randomBytes(24).toString('hex')
const proof = `Proxy-Authorization: Basic ${Buffer.from(`bench:${key}`).toString('base64')}`
const SMALL = `GET http://api.bench.test/v1/thing HTTP/1.1\r\nHost: api.bench.test\r\n${proof}\r\n\r\n`
const more = {
  ca: { directory: 'ca.d' },
  admin: { listen: 'unix:admin.sock' },
  audit: { sinks: [{ kind: 'json-lines', path: 'audit.jsonl' }] },
}

interface Site {
  readonly child: ChildProcess
  readonly door: number
  readonly upstream: number
}

type Work = (site: Site) => Promise<void>

const WORK: Readonly<Record<string, Work>> = {
  '1 request at a time': (site) => small(site, 1),
  '32 requests at once': (site) => small(site, 32),
  '256 requests at once': (site) => small(site, 256),
  '1,000 requests at once': (site) => small(site, 1_000),
  '1,000 connections that say nothing': idle,
  '200 opened tunnels, a request in each': opened,
  '32 endless answers, read as they come': (site) => endless(site, true),
  '32 endless answers that nobody reads': (site) => endless(site, false),
}

try {
  await bundle(join(directory, 'app'))
  const authority = await makeAuthority()
  const identity = await authority.issue(['api.bench.test'])
  const files = { ca: authority.certPem, credential: randomBytes(24).toString('hex'), caller: key }
  for (const [name, text] of Object.entries(files)) writeSecret(directory, name, text)
  const ports = [await startBenchUpstream(identity), await startEndless(identity)]
  console.log('MiB resident | idle | at most | afterwards')
  for (const [name, work] of Object.entries(WORK)) {
    const port = ports[name.includes('endless') ? 1 : 0] ?? 0
    console.log(`${name} | ${(await measured(work, port)).map((bytes) => (bytes / MiB).toFixed(0)).join(' | ')}`)
  }
} finally {
  remove(directory)
}

async function measured(work: Work, upstream: number): Promise<readonly number[]> {
  const site = await start(upstream)
  try {
    const idleBytes = memoryOf(site.child.pid ?? 0, 'VmRSS')
    await work(site)
    const most = memoryOf(site.child.pid ?? 0, 'VmHWM')
    await wait(SECONDS * 1000)
    return [idleBytes, most, memoryOf(site.child.pid ?? 0, 'VmRSS')]
  } finally {
    site.child.kill('SIGKILL')
  }
}

async function start(upstream: number): Promise<Site> {
  writeFileSync(join(directory, 'sallyport.yaml'), JSON.stringify(benchSettings(upstream, more)))
  const flags = ['--disable-sigusr1', '--expose-gc', '--disable-warning=ExperimentalWarning']
  const serve = [...flags, join(directory, 'app/sallyport.mjs'), 'serve', '--config', join(directory, 'sallyport.yaml')]
  const enter = CGROUP === undefined ? '' : 'echo $$ > "$BENCH_CGROUP/cgroup.procs"; '
  const child = spawn('sh', ['-c', `${enter}exec "$0" "$@"`, process.execPath, ...serve], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, MALLOC_ARENA_MAX: '2' },
  })
  const [chunk] = await once(child.stdout, 'data')
  const ready = JSON.parse(String(chunk).split('\n')[0] ?? '')
  child.stdout.resume()
  await wait(2_000)
  return { child, door: Number(ready.listeners[0].address.split(':')[1]), upstream }
}

async function open({ door }: Site): Promise<Socket> {
  const socket = connect({ port: door, host: '127.0.0.1' })
  await once(socket, 'connect')
  socket.on('error', () => undefined)
  return socket
}

async function small(site: Site, connections: number): Promise<void> {
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(site)))
  await busy(sockets, SMALL)
}

/** One request in flight on each, until the time is over. */
async function busy(sockets: readonly Socket[], head: string): Promise<void> {
  const end = performance.now() + SECONDS * 1000
  let answers = 0
  await Promise.all(
    sockets.map(async (socket) => {
      let pending = 0
      const closed = once(socket, 'close')
      socket.on('data', (chunk) => {
        pending += chunk.length
        if (pending < BODY_BYTES || !chunk.toString('latin1').endsWith('xxxx')) return
        pending = 0
        answers++
        if (performance.now() < end) socket.write(head)
        else socket.destroy()
      })
      socket.write(head)
      await closed
    }),
  )
  process.stderr.write(`  ${Math.round(answers / SECONDS)} requests/s\n`)
}

async function idle(site: Site): Promise<void> {
  const sockets = await Promise.all(Array.from({ length: 1_000 }, () => open(site)))
  await wait(SECONDS * 1000)
  for (const socket of sockets) socket.destroy()
}

async function opened(site: Site): Promise<void> {
  const ca = readFileSync(join(directory, 'ca.d/ca.pem'), 'utf8')
  const sockets = await Promise.all(
    Array.from({ length: 200 }, async () => {
      const authority = `api.bench.test:${site.upstream}`
      const { socket } = await openTunnel(`127.0.0.1:${site.door}`, authority, { fields: `${proof}\r\n` })
      return secureTunnel(socket, 'api.bench.test', { ca })
    }),
  )
  await busy(sockets, `GET /v1/thing HTTP/1.1\r\nHost: api.bench.test:${site.upstream}\r\n\r\n`)
}

async function endless(site: Site, isRead: boolean): Promise<void> {
  const sockets = await Promise.all(Array.from({ length: 32 }, () => open(site)))
  for (const socket of sockets) {
    if (isRead) socket.resume()
    else socket.pause()
    socket.write(SMALL)
  }
  await wait(SECONDS * 1000)
  for (const socket of sockets) socket.destroy()
}

async function startEndless(identity: Identity): Promise<number> {
  const bytes = Buffer.alloc(65_536, 'x')
  const server = createServer({ ...identity, ALPNProtocols: ['http/1.1'] }, (socket) => {
    socket.on('error', () => undefined)
    const fill = () => {
      while (socket.write(bytes));
    }
    socket.on('drain', fill)
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n')
      fill()
    })
  })
  server.listen(0, '127.0.0.1').unref()
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

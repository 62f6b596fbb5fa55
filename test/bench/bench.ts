import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { makeAuthority } from '../support/certificates.ts'
import { privateDirectory, remove, writeSecret } from '../support/sallyport.ts'
import { openTunnel, secureTunnel } from '../support/tunnel.ts'
import { type Load, load } from './load.ts'
import { benchSettings } from './settings.ts'
import { BODY_BYTES, startBenchUpstream } from './upstream.ts'

/**
 * What all our features cost: Sallyport's forward door beside a bare node:http + undici relay and beside http-proxy, one
 * after the other in turns, small GETs over TLS to the upstream, keep-alive, 32 connections. Each proxy has one core to
 * itself, the load and the upstream share the other and never sleep: to wake a sleeping peer costs a virtual machine more
 * than a request, and the slower a proxy is, the more of its peers are asleep. Ratios within this run are what to rely on.
 */
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 15)
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 1)
const MORE = {
  ca: { directory: 'ca.d' },
  admin: { listen: '127.0.0.1:0' },
  audit: { sinks: [{ kind: 'json-lines', path: 'audit.jsonl' }] },
}

interface Contender {
  readonly name: string
  /** How a request to it begins. */
  readonly target: string
  readonly host: string
  open(): Promise<Socket>
  readonly child: ChildProcess
}

const directory = privateDirectory()
const key = randomBytes(24).toString('hex')
const proof = `Proxy-Authorization: Basic ${Buffer.from(`bench:${key}`).toString('base64')}`
const OURS = 'sallyport'
const PLAIN = { target: 'http://api.bench.test/v1/thing', host: 'api.bench.test' }
const children: ChildProcess[] = []
try {
  report(await measure(await contenders()))
} finally {
  for (const child of children) child.kill('SIGKILL')
  remove(directory)
}

async function contenders(): Promise<Contender[]> {
  const authority = await makeAuthority()
  const identity = await authority.issue(['api.bench.test'])
  const files = { ca: authority.certPem, credential: randomBytes(24).toString('hex'), caller: key }
  for (const [name, text] of Object.entries(files)) writeSecret(directory, name, text)
  const port = await startBenchUpstream(identity)
  writeFileSync(file('sallyport.yaml'), JSON.stringify(benchSettings(port, MORE)))
  const sallyport = await start(0, ['../../src/cli.ts', 'serve', '--config', file('sallyport.yaml')])
  const undici = await start(0, ['bare-undici.ts', String(port), file('ca')])
  const proxy = await start(0, ['bare-http-proxy.ts', String(port), file('ca')])
  const [door] = sallyport.ready.listeners
  const doorPort = Number(door.address.split(':')[1])
  const inside = { target: '/v1/thing', host: `api.bench.test:${port}` }
  return [
    { name: OURS, ...PLAIN, open: () => openPlain(doorPort), child: sallyport.child },
    { name: 'sallyport, CONNECT opened', ...inside, open: () => openInside(doorPort, port), child: sallyport.child },
    { name: 'bare node:http + undici', ...PLAIN, open: () => openPlain(undici.ready.port), child: undici.child },
    { name: 'bare http-proxy 1.18.1', ...PLAIN, open: () => openPlain(proxy.ready.port), child: proxy.child },
  ]
}

async function openPlain(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  return socket
}

async function openInside(door: number, port: number): Promise<Socket> {
  const { socket } = await openTunnel(`127.0.0.1:${door}`, `api.bench.test:${port}`, { fields: `${proof}\r\n` })
  socket.setNoDelay(true)
  return secureTunnel(socket, 'api.bench.test', { ca: readFileSync(file('ca.d/ca.pem'), 'utf8') })
}

function file(name: string): string {
  return join(directory, name)
}

async function start(core: number, [script = '', ...args]: readonly string[]) {
  const path = new URL(script, import.meta.url).pathname
  const pin = spawnSync('taskset', ['-V']).status === 0 ? ['taskset', '-c', String(core)] : []
  const [command = '', ...rest] = [
    ...pin,
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    '--disable-warning=DEP0060',
    '--disable-warning=DEP0169',
    path,
    ...args,
  ]
  const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  const line = await new Promise<string>((resolve, reject) => {
    child.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString()))
    child.once('exit', (code) => reject(new Error(`${script} ended with ${code}`)))
  })
  return { child, ready: JSON.parse(line.split('\n')[0] ?? '') }
}

/** What a proxy made in one round, and what it cost: microseconds of processor for each request. */
type Round = Load & { readonly cpuMicros: number }

/** Processor time of a process so far, in ms. @see proc_pid_stat(5): fields 14 and 15, in ticks of 10 ms */
function cpuMs({ child }: Contender): number {
  const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10
}

async function measure(all: readonly Contender[]): Promise<Map<string, Round[]>> {
  if (spawnSync('taskset', ['-V']).status === 0) spawnSync('taskset', ['-cp', '1', String(process.pid)])
  const results = new Map<string, Round[]>(all.map(({ name }) => [name, []]))
  for (let round = 0; round <= ROUNDS; round++) {
    for (const contender of all) {
      const { name, target, host, open } = contender
      const own = target === PLAIN.target ? `${proof}\r\n` : ''
      const head = `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n${own}Accept: */*\r\nUser-Agent: bench\r\n\r\n`
      const before = cpuMs(contender)
      const seconds = round === 0 ? 2 : SECONDS
      const result = await load({ open, head, connections: 32, seconds, bodyBytes: BODY_BYTES })
      const cpuMicros = ((cpuMs(contender) - before) * 1000) / (result.requestsPerSecond * seconds)
      // The first round warms up.
      if (round > 0) results.get(name)?.push({ ...result, cpuMicros })
    }
  }
  return results
}

function report(results: ReadonlyMap<string, readonly Round[]>): void {
  const ours = median(results.get(OURS) ?? [])
  process.stdout.write(
    `\n| ${ROUNDS} rounds of ${SECONDS} s | requests/s | CPU µs each | p50 ms | p99 ms | errors | sallyport has |\n|---|---|---|---|---|---|---|\n`,
  )
  for (const [name, loads] of results) {
    const it = median(loads)
    const ratio = `${Math.round((ours.requestsPerSecond / it.requestsPerSecond) * 100)} %`
    process.stdout.write(
      `| ${name} | ${Math.round(it.requestsPerSecond)} | ${Math.round(it.cpuMicros)} | ${it.p50.toFixed(2)} | ${it.p99.toFixed(2)} | ${it.errors} | ${ratio} of its rate |\n`,
    )
  }
}

function median(loads: readonly Round[]): Round {
  const sorted = [...loads].sort((one, other) => one.requestsPerSecond - other.requestsPerSecond)
  const middle = sorted[Math.floor(sorted.length / 2)]
  if (!middle) throw new Error('nothing was measured')
  return { ...middle, errors: loads.reduce((sum, { errors }) => sum + errors, 0) }
}

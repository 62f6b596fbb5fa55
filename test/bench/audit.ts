import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { makeAuthority } from '../support/certificates.ts'
import { eventually, privateDirectory, remove, writeSecret } from '../support/sallyport.ts'
import { benchSettings } from './settings.ts'
import { startBenchUpstream } from './upstream.ts'

/**
 * What the audit in SQLite costs those who ask: two sidecars that differ in the sink `store` alone, in turns. A flood of
 * pipelined requests makes a fixed number of entries a second; most are refused for want of a key, the others go upstream.
 * Beside it a caller with a key asks a few hundred times a second, and its latencies, from when each was due, are what is
 * told. A load that asked one by one would need a core for itself, and the thread of SQLite would wait for that.
 * Ratios within this run are what to rely on.
 */
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 9)
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 3)
const RATE = Number(process.env['BENCH_RATE'] ?? 10_000)
const SHARE_UPSTREAM = 0.1
const PROBES = 300
const FLOODERS = 16
/** Of one connection, at a time: few enough that nobody waits long behind them. */
const PIPELINED = 5
const ANSWER = 'HTTP/1.1 '
const MORE = {
  admin: { listen: '127.0.0.1:0' },
  grants: [{ caller: 'bench', connection: 'bench' }],
  log: { level: 'error' },
}

const directory = privateDirectory()
const key = randomBytes(24).toString('hex')
const HEAD = 'GET http://api.bench.test/v1/thing HTTP/1.1\r\nHost: api.bench.test\r\n'
const REFUSED = `${HEAD}\r\n`
const GRANTED = `${HEAD}Proxy-Authorization: Basic ${Buffer.from(`bench:${key}`).toString('base64')}\r\n\r\n`
const FILE = { kind: 'json-lines', path: 'audit.jsonl' }
const STORE = { store: { kind: 'sqlite', path: 'state/audit.db' } }
const SPILL = { path: 'spill' }
const ways: Readonly<Record<string, object>> = {
  'json-lines': { audit: { sinks: [FILE] } },
  'json-lines and store': { ...STORE, audit: { sinks: [FILE, { kind: 'store' }], spill: SPILL } },
}

interface Measured {
  /** Entries a second, and in all. */
  readonly rate: number
  readonly entries: number
  readonly p50: number
  readonly p99: number
}

interface Sidecar {
  readonly name: string
  readonly child: ChildProcess
  readonly port: number
  readonly admin: string
  readonly place: string
  readonly loads: Measured[]
}

const sidecars: Sidecar[] = []
try {
  if (spawnSync('taskset', ['-V']).status === 0) spawnSync('taskset', ['-cp', '1', String(process.pid)])
  await startAll()
  for (let round = 0; round <= ROUNDS; round++)
    // Whoever is second has the machine as the first has left it: they take turns at that, too.
    for (const sidecar of round % 2 === 0 ? sidecars : sidecars.toReversed()) {
      await drained(sidecars)
      const measured = await load(sidecar.port, round === 0 ? 3 : SECONDS)
      // The first round warms up.
      if (round > 0) sidecar.loads.push(measured)
    }
  report()
  await count()
} finally {
  for (const { child } of sidecars) child.kill('SIGKILL')
  remove(directory)
}

async function startAll(): Promise<void> {
  const authority = await makeAuthority()
  const upstream = await startBenchUpstream(await authority.issue(['api.bench.test']))
  for (const [name, way] of Object.entries(ways)) {
    const place = join(directory, name.replaceAll(' ', '-'))
    spawnSync('mkdir', ['-m', '700', place])
    for (const [file, text] of [
      ['ca', authority.certPem],
      ['credential', 'held'],
      ['caller', key],
    ] as const)
      writeSecret(place, file, text)
    writeFileSync(join(place, 'sallyport.yaml'), JSON.stringify({ ...benchSettings(upstream, MORE), ...way }))
    sidecars.push({ name, place, ...(await start(place)), loads: [] })
  }
}

async function start(place: string): Promise<{ child: ChildProcess; port: number; admin: string }> {
  const cli = new URL('../../src/cli.ts', import.meta.url).pathname
  // Started by us, who are on one core; its threads may use every other one.
  const child = spawn(
    'taskset',
    ['-c', '0-1', process.execPath, cli, 'serve', '--config', join(place, 'sallyport.yaml')],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  const [line] = await once(child.stdout, 'data')
  const { listeners, admin } = JSON.parse(String(line).split('\n')[0] ?? '')
  return { child, admin, port: Number(listeners[0].address.split(':')[1]) }
}

/** What one has still to bring to its store would be measured in the turn of the other. */
async function drained(all: readonly Sidecar[]): Promise<void> {
  for (const { name, admin } of all) {
    const isDrained = async () => {
      const text = await (await fetch(`http://${admin}/metrics`)).text()
      return /audit_waiting_bytes\{sink="store"\} [1-9]/.test(text) ? undefined : true
    }
    await eventually(isDrained, `the store of ${name} to have everything`, 60_000)
  }
}

/** The flood, and beside it those who are measured. */
async function load(port: number, seconds: number): Promise<Measured> {
  const latencies: number[] = []
  const flooders = await Promise.all(Array.from({ length: FLOODERS }, () => openFlooder(port)))
  const probes = await Promise.all(Array.from({ length: 8 }, () => open(port)))
  const free = [...probes]
  const begin = performance.now()
  const owed: number[] = []
  let sent = 0
  let probed = 0
  while (performance.now() - begin < seconds * 1000) {
    const passed = (performance.now() - begin) / 1000
    for (let turn = 0; sent < Math.floor(passed * RATE); turn = (turn + 1) % FLOODERS) {
      const count = Math.min(PIPELINED, Math.floor(passed * RATE) - sent)
      flooders[turn]?.send(count)
      sent += count
    }
    for (; probed < Math.floor(passed * PROBES); probed++) owed.push(begin + (probed / PROBES) * 1000)
    while (owed.length > 0 && free.length > 0) ask(free, owed.shift() ?? 0, latencies)
    await new Promise((done) => setTimeout(done, 1))
  }
  const answered = () => flooders.reduce((sum, flooder) => sum + flooder.answered(), 0)
  await eventually(() => (answered() === sent && free.length === probes.length ? true : undefined), 'the last answers')
  const took = (performance.now() - begin) / 1000
  for (const socket of [...probes, ...flooders.map(({ socket }) => socket)]) socket.destroy()
  const sorted = latencies.sort((one, other) => one - other)
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? 0
  return { rate: (sent + sorted.length) / took, entries: sent + sorted.length, p50: at(0.5), p99: at(0.99) }
}

interface Flooder {
  readonly socket: Socket
  send(count: number): void
  answered(): number
}

async function openFlooder(port: number): Promise<Flooder> {
  const socket = await open(port)
  let answered = 0
  let rest = ''
  socket.on('data', (chunk: Buffer) => {
    const text = rest + chunk.toString('latin1')
    answered += text.split(ANSWER).length - 1
    // What may be the beginning of one.
    rest = text.slice(-ANSWER.length + 1)
  })
  const one = () => (Math.random() < SHARE_UPSTREAM ? GRANTED : REFUSED)
  return {
    socket,
    send: (count) => socket.write(Array.from({ length: count }, one).join('')),
    answered: () => answered,
  }
}

function ask(free: Socket[], dueAt: number, latencies: number[]): void {
  const socket = free.pop()
  if (!socket) return
  let text = ''
  socket.on('data', function take(chunk: Buffer) {
    text += chunk.toString('latin1')
    const [head = '', ...rest] = text.split('\r\n\r\n')
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1])
    if (rest.length === 0 || rest.join('\r\n\r\n').length < length) return
    socket.off('data', take)
    latencies.push(performance.now() - dueAt)
    free.unshift(socket)
  })
  socket.write(GRANTED)
}

async function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  socket.setMaxListeners(0)
  await once(socket, 'connect')
  return socket
}

function report(): void {
  process.stdout.write(
    `${ROUNDS} rounds of ${SECONDS} s, ${RATE} requests a second, ${PROBES} more are measured; medians\n`,
  )
  process.stdout.write('| sinks | entries/s | p50 ms | p99 ms | p99 of each round |\n|---|---|---|---|---|\n')
  for (const { name, loads } of sidecars)
    process.stdout.write(
      `| ${name} | ${Math.round(median(loads, 'rate'))} | ${median(loads, 'p50').toFixed(2)} | ${median(loads, 'p99').toFixed(2)} | ${loads.map(({ p99 }) => p99.toFixed(1)).join(' ')} |\n`,
    )
  for (const { name, child, loads } of sidecars) {
    const entries = loads.reduce((sum, one) => sum + one.entries, 0)
    const { main, others } = processorTime(child.pid ?? 0)
    const each = (ms: number) => `${((ms * 1000) / entries).toFixed(1)} µs`
    process.stdout.write(
      `processor time an entry, start and warming up included, ${name}: ${each(main)} where doors are, ${each(others)} elsewhere\n`,
    )
  }
  const [without, withStore] = sidecars.map(({ loads }) => median(loads, 'p99'))
  process.stdout.write(
    `p99 with the store: ${Math.round(((withStore ?? 0) / (without ?? 1)) * 100)} % of that without\n`,
  )
}

/** Of the thread that answers, and of all its others; ms. Unlike a latency it is the same whoever else is at work. */
function processorTime(pid: number): { readonly main: number; readonly others: number } {
  const spent = (thread: string) => {
    const fields = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
    // utime and stime, in hundredths of a second. @see proc(5)
    return (Number(fields[11]) + Number(fields[12])) * 10
  }
  const threads = readdirSync(`/proc/${pid}/task`)
  const all = threads.reduce((sum, thread) => sum + spent(thread), 0)
  const main = spent(String(pid))
  return { main, others: all - main }
}

function median(loads: readonly Measured[], what: keyof Measured): number {
  return loads.map((one) => one[what]).sort((one, other) => one - other)[loads.length >> 1] ?? 0
}

/** That every entry is in the database, once the sidecar has ended. */
async function count(): Promise<void> {
  const sidecar = sidecars[1]
  if (!sidecar) return
  const ended = once(sidecar.child, 'exit')
  sidecar.child.kill('SIGTERM')
  await ended
  const rows = new DatabaseSync(join(sidecar.place, 'state/audit.db'))
    .prepare('select count(*) as rows, max(seq) as last from audit')
    .get()
  process.stdout.write(`rows in the database: ${JSON.stringify(rows)}\n`)
}

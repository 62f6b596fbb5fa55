import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { relayTunnel } from '../../src/relay/tunnel.ts'

/**
 * What limits and an account of bytes cost an opaque tunnel: ours beside two bare pipes, in turns, each in a process of
 * its own, one long download at a time. Source and sink are here, and cheaper than what they measure: one buffer each.
 * Ratios within this run are what to rely on.
 */
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 7)
const BYTES = Number(process.env['BENCH_MIB'] ?? 1024) * 2 ** 20

const WAYS = { tunnel: joinByTunnel, bare: joinByPipes } as const
type Way = keyof typeof WAYS

const [way, port] = process.argv.slice(2)
if (way === 'tunnel' || way === 'bare') await serve(way, Number(port))
else await compare()

/** In the child: joins whoever comes to the source. */
async function serve(way: Way, sourcePort: number): Promise<void> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (caller) => {
    WAYS[way](caller, connect({ port: sourcePort, host: '127.0.0.1', noDelay: true }))
  })
  process.on('message', () => process.send?.(process.cpuUsage()))
  process.on('disconnect', () => process.exit())
  process.send?.(await listen(server))
}

function joinByTunnel(caller: Socket, upstream: Socket): void {
  void relayTunnel({ caller, upstream, idleTimeoutMs: 60_000, maxMs: 3_600_000 })
}

function joinByPipes(caller: Socket, upstream: Socket): void {
  for (const socket of [caller, upstream]) socket.on('error', () => undefined)
  caller.pipe(upstream)
  upstream.pipe(caller)
}

/** One download: its rate, and the processor time of what was between. */
interface Run {
  readonly mibPerSecond: number
  readonly cpuMsPerGib: number
}

async function compare(): Promise<void> {
  const source = createServer((socket) => pour(socket, Buffer.alloc(2 ** 20), BYTES))
  const sourcePort = await listen(source)
  const tunnel = await start('tunnel', sourcePort)
  const bare = await start('bare', sourcePort)
  const runs = { tunnel: new Array<Run>(), bare: new Array<Run>() }
  for (let round = 0; round <= ROUNDS; round++) {
    const pair = { tunnel: await download(tunnel), bare: await download(bare) }
    // The first round warms up.
    if (round === 0) continue
    runs.tunnel.push(pair.tunnel)
    runs.bare.push(pair.bare)
  }
  for (const { child } of [tunnel, bare]) child.disconnect()
  source.close()
  report(median(runs.tunnel), median(runs.bare))
}

interface Contender {
  readonly child: ChildProcess
  readonly port: number
}

async function start(way: Way, sourcePort: number): Promise<Contender> {
  const child = fork(import.meta.filename, [way, String(sourcePort)])
  const [port] = await once(child, 'message')
  return { child, port }
}

async function download({ child, port }: Contender): Promise<Run> {
  const cpuBefore = await cpuMs(child)
  const began = performance.now()
  await drink(port)
  const seconds = (performance.now() - began) / 1_000
  const spent = (await cpuMs(child)) - cpuBefore
  return { mibPerSecond: BYTES / 2 ** 20 / seconds, cpuMsPerGib: (spent * 2 ** 30) / BYTES }
}

/** Reads to the end, and counts. */
async function drink(port: number): Promise<void> {
  let bytes = 0
  const callback = (count: number) => {
    bytes += count
    return true
  }
  const socket = connect({ port, host: '127.0.0.1', onread: { buffer: Buffer.alloc(2 ** 18), callback } })
  await once(socket, 'close')
  if (bytes !== BYTES) throw new Error(`${bytes} of ${BYTES} bytes came`)
}

function pour(socket: Socket, chunk: Buffer, bytes: number): void {
  let left = bytes
  const go = () => {
    while (left > 0) {
      left -= chunk.length
      if (!socket.write(chunk)) return
    }
    socket.end()
  }
  socket
    .on('drain', go)
    .on('error', () => undefined)
    .resume()
  go()
}

async function cpuMs(child: ChildProcess): Promise<number> {
  const answered = once(child, 'message')
  child.send('cpu')
  const [{ user, system }] = await answered
  return (user + system) / 1_000
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port // a TCP server has an address of this form
}

function median(runs: readonly Run[]): Run {
  const middle = (numbers: readonly number[]) => [...numbers].sort((one, other) => one - other)[runs.length >> 1] ?? 0
  return {
    mibPerSecond: middle(runs.map((run) => run.mibPerSecond)),
    cpuMsPerGib: middle(runs.map((run) => run.cpuMsPerGib)),
  }
}

function report(ours: Run, bare: Run): void {
  const line = (name: string, { mibPerSecond, cpuMsPerGib }: Run) =>
    process.stdout.write(`| ${name} | ${Math.round(mibPerSecond)} | ${Math.round(cpuMsPerGib)} |\n`)
  process.stdout.write(`${ROUNDS} downloads of ${BYTES / 2 ** 20} MiB each; the median\n`)
  process.stdout.write('| | MiB/s | processor ms for each GiB |\n|---|---|---|\n')
  line('tunnel', ours)
  line('a.pipe(b); b.pipe(a)', bare)
  process.stdout.write(`ratio ${((ours.mibPerSecond / bare.mibPerSecond) * 100).toFixed(0)} %\n`)
}

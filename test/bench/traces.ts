import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { makeAuthority } from '../support/certificates.ts'
import { startCollector } from '../support/collector.ts'
import { privateDirectory, remove, writeSecret } from '../support/sallyport.ts'
import { type Load, load } from './load.ts'
import { benchSettings } from './settings.ts'
import { BODY_BYTES, startBenchUpstream } from './upstream.ts'

/**
 * What traces cost: the forward door of bench.ts without them, with them for 100 asks a second, and with them for every
 * ask, one after the other in turns. `BENCH_BASE`: a checkout of an older Sallyport, to be measured beside them. The
 * collector shares the core of the load.
 */
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 15)
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 1)
const BASE = process.env['BENCH_BASE']
const HERE = new URL('../..', import.meta.url).pathname

interface Contender {
  readonly name: string
  readonly port: number
  readonly fields: string
  readonly child: ChildProcess
}

const directory = privateDirectory()
const key = randomBytes(24).toString('hex')
const PROOF = `Proxy-Authorization: Basic ${Buffer.from(`bench:${key}`).toString('base64')}\r\n`
const PARENT = 'traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n'
const children: ChildProcess[] = []
const collector = await startCollector()
try {
  report(await measure(await contenders()))
} finally {
  for (const child of children) child.kill('SIGKILL')
  remove(directory)
  await collector.close()
}
process.exit()

async function contenders(): Promise<Contender[]> {
  const authority = await makeAuthority()
  const files = { ca: authority.certPem, credential: randomBytes(24).toString('hex'), caller: key }
  for (const [name, text] of Object.entries(files)) writeSecret(directory, name, text)
  const port = await startBenchUpstream(await authority.issue(['api.bench.test']))
  const endpoint = `http://127.0.0.1:${collector.port}/v1/traces`
  const off = await start('off', HERE, benchSettings(port))
  const rows = [
    ...(BASE === undefined ? [] : [await start('the one before', BASE, benchSettings(port))]),
    off,
    { ...off, name: 'off, callers with a traceparent', fields: PARENT },
    await start('100 a second', HERE, benchSettings(port, { traces: { endpoint } })),
    await start('every ask', HERE, benchSettings(port, { traces: { endpoint, sampler: { maxPerSecond: 100_000 } } })),
  ]
  return rows
}

async function start(name: string, checkout: string, given: object): Promise<Contender> {
  const number = children.length
  const audit = { sinks: [{ kind: 'json-lines', path: `audit-${number}.jsonl` }] }
  const config = join(directory, `${number}.yaml`)
  writeFileSync(config, JSON.stringify({ ...given, audit }))
  const pin = spawnSync('taskset', ['-V']).status === 0 ? ['taskset', '-c', '0'] : []
  const cli = join(checkout, 'src/cli.ts')
  const line = [...pin, process.execPath, '--disable-warning=DEP0060', cli, 'serve', '--config', config]
  const [command = '', ...rest] = line
  const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  const [ready] = (await once(child.stdout, 'data')) as [Buffer]
  const { listeners } = JSON.parse(ready.toString().split('\n')[0] ?? '')
  return { name, port: Number(listeners[0].address.split(':')[1]), fields: '', child }
}

type Round = Load & { readonly cpuMicros: number }

/** Processor time of a process so far, in ms. @see proc_pid_stat(5): fields 14 and 15, in ticks of 10 ms */
function cpuMs({ child }: Contender): number {
  const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10
}

async function open(port: number) {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  return socket
}

async function measure(all: readonly Contender[]): Promise<Map<string, Round[]>> {
  if (spawnSync('taskset', ['-V']).status === 0) spawnSync('taskset', ['-cp', '1', String(process.pid)])
  const results = new Map<string, Round[]>(all.map(({ name }) => [name, []]))
  for (let round = 0; round <= ROUNDS; round++) {
    for (const one of all) {
      const head = `GET http://api.bench.test/v1/thing HTTP/1.1\r\nHost: api.bench.test\r\n${PROOF}${one.fields}Accept: */*\r\n\r\n`
      const before = cpuMs(one)
      const seconds = round === 0 ? 2 : SECONDS
      const result = await load({ open: () => open(one.port), head, connections: 32, seconds, bodyBytes: BODY_BYTES })
      const cpuMicros = ((cpuMs(one) - before) * 1000) / (result.requestsPerSecond * seconds)
      // The first round warms up.
      if (round > 0) results.get(one.name)?.push({ ...result, cpuMicros })
    }
  }
  return results
}

function report(results: ReadonlyMap<string, readonly Round[]>): void {
  process.stdout.write(`\n| ${ROUNDS} rounds of ${SECONDS} s | requests/s | CPU µs each | p50 ms | p99 ms | errors |\n`)
  process.stdout.write('|---|---|---|---|---|---|\n')
  for (const [name, rounds] of results) {
    const of = (pick: (round: Round) => number) =>
      rounds.map(pick).sort((one, two) => one - two)[rounds.length >> 1] ?? 0
    const errors = rounds.reduce((sum, round) => sum + round.errors, 0)
    const cells = [of((one) => one.requestsPerSecond).toFixed(0), of((one) => one.cpuMicros).toFixed(1)]
    const times = [of((one) => one.p50).toFixed(2), of((one) => one.p99).toFixed(2)]
    process.stdout.write(`| ${[name, ...cells, ...times, errors].join(' | ')} |\n`)
  }
  process.stdout.write(`${collector.spans.length} spans came to the collector\n`)
}

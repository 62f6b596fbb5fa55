import { generateKeyPairSync } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { verifyAudit } from '../../src/audit/verify.ts'
import { type Collector, startCollector } from '../support/collector.ts'
import { freePort } from '../support/ports.ts'
import { sendRaw, WHOLE_ANSWER } from '../support/raw-client.ts'
import { eventually, type Running, remove, startSallyport, writeSecret } from '../support/sallyport.ts'
import { type RawUpstream, startUpstream } from '../support/upstream.ts'
import { askAdmin, authority, crmDirectory, crmSettings, doorOf, forwardRequest, getThrough, PROOF } from './crm.ts'

const key = generateKeyPairSync('ed25519')
const publicKeys = [key.publicKey.export({ type: 'spki', format: 'pem' })]
let upstream: RawUpstream

beforeAll(async () => {
  upstream = await startUpstream(undefined, await authority.issue(['api.crm.test']))
})

afterAll(() => upstream?.close())

/** A place for several runs with this audit, each of which signs. */
function place(audit: object) {
  const directory = crmDirectory()
  onTestFinished(() => remove(directory))
  writeSecret(directory, 'signing', key.privateKey.export({ type: 'pkcs8', format: 'pem' }))
  const checkpoints = { key: { file: 'signing' }, everyMs: 500 }
  const settings = { audit: { instance: 'story', checkpoints, ...audit }, ca: 'ephemeral' }
  async function start(): Promise<Running> {
    const running = await startSallyport(directory, crmSettings({ port: upstream.port, settings }))
    onTestFinished(() => void running.stop('SIGKILL'))
    return running
  }
  return { directory, start, linesIn: (name: string) => readFileSync(join(directory, name), 'utf8').split('\n') }
}

/**
 * Asks one after the other; how many were answered with 200. An entry is written right behind the last byte of its answer,
 * so it is there when another request has been answered.
 */
async function askOften(running: Running, count: number): Promise<number> {
  let answered = 0
  for (let index = 0; index < count; index++)
    if ((await getThrough(running, `/${index}`, WHOLE_ANSWER)).status === 200) answered++
  await askAdmin(running, '/livez')
  return answered
}

const FILE = { sinks: [{ kind: 'json-lines', path: 'audit.jsonl' }] }

test('runs follow each other, whether they end well or are killed, and what is cut off shows', async () => {
  const { start, linesIn } = place(FILE)
  const one = await start()
  await askOften(one, 3)
  await one.stop('SIGTERM')
  const two = await start()
  expect(await askOften(two, 20)).toBe(20)
  await two.stop('SIGKILL')
  const three = await start()
  await askOften(three, 1)
  await three.stop('SIGTERM')
  const lines = linesIn('audit.jsonl').filter(Boolean)
  expect(lines.filter((line) => line.startsWith('{"msg":"ask"'))).toHaveLength(24)
  expect(await verifyAudit(lines, { publicKeys })).toMatchObject({ isIntact: true, runs: 3, unsigned: 0 })
  const killed = lines.findLastIndex((line) => line.includes('"/19"'))
  expect((await verifyAudit(lines.toSpliced(killed, 1), { publicKeys })).isIntact).toBe(false)
})

test('a file that log rotation has taken away is opened anew, and the chain goes on', async () => {
  const { directory, start, linesIn } = place(FILE)
  const running = await start()
  await askOften(running, 2)
  renameSync(join(directory, 'audit.jsonl'), join(directory, 'audit.jsonl.1'))
  await eventually(() => (existsSync(join(directory, 'audit.jsonl')) ? true : undefined), 'another file')
  await askOften(running, 2)
  await running.stop('SIGTERM')
  renameSync(join(directory, 'audit.jsonl'), join(directory, 'audit.jsonl.2'))
  const next = await start()
  await next.stop('SIGTERM')
  const lines = ['audit.jsonl.1', 'audit.jsonl.2', 'audit.jsonl'].flatMap(linesIn)
  expect(await verifyAudit(lines, { publicKeys })).toMatchObject({ isIntact: true, runs: 2 })
})

/** A collector that is away, at a port where it can come back. */
async function awayCollector(): Promise<{ readonly port: number; back(): Promise<Collector> }> {
  const port = await freePort()
  return {
    port,
    async back() {
      const collector = await startCollector({ port })
      onTestFinished(() => collector.close())
      return collector
    },
  }
}

function toCollector(port: number, more: object = {}): object {
  const sink = {
    kind: 'otlp',
    endpoint: `http://127.0.0.1:${port}/v1/logs`,
    unsafeAllowPlaintextCollector: true,
    allowPrivate: ['127.0.0.0/8'],
  }
  return { sinks: [...FILE.sinks, sink], spill: { path: 'spill', maxBytes: 65_536 }, ...more }
}

/** The `seq`s of asks in every run, from the collector. */
function asksIn({ records }: Collector): string[] {
  const asks = records.filter(({ eventName }) => eventName === 'sallyport.ask')
  return asks.map(({ attributes }) => `${attributes['sallyport.run']} ${attributes['sallyport.seq']}`)
}

test('what a collector cannot take survives kill -9, and comes later: all of it, once, and in order', async () => {
  const away = await awayCollector()
  const { directory, start } = place(toCollector(away.port))
  const one = await start()
  expect(await askOften(one, 20)).toBe(20)
  await one.stop('SIGKILL')
  expect(readdirSync(join(directory, 'spill')).length).toBeGreaterThan(0)
  const two = await start()
  expect(await askOften(two, 10)).toBe(10)
  const collector = await away.back()
  await eventually(() => (asksIn(collector).length >= 30 ? true : undefined), 'all asks', 15_000)
  await two.stop('SIGTERM')
  const asks = asksIn(collector)
  expect([asks.length, new Set(asks).size]).toEqual([30, 30])
  const bodies = collector.records.map(({ body }) => body)
  expect(await verifyAudit(bodies, { publicKeys })).toMatchObject({ isIntact: true, runs: 2, unsigned: 0 })
  expect(readdirSync(join(directory, 'spill'))).toEqual([])
})

test('when the spill is full every door refuses before it does anything, and goes on by itself', async () => {
  const away = await awayCollector()
  const { start } = place(toCollector(away.port))
  const running = await start()
  let answered = 0
  while ((await askOften(running, 1)) === 1) answered++
  expect(answered).toBeGreaterThan(40)
  const seen = upstream.heads().length
  const handshake = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n'
  const connect = `CONNECT api.crm.test:${upstream.port} HTTP/1.1\r\nHost: api.crm.test\r\n${PROOF}\r\n`
  const door = doorOf(running, 'forward')
  const reverse = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'
  for (const [at, request] of [
    [door, forwardRequest('GET', '/refused')],
    [door, forwardRequest('GET', '/refused', handshake)],
    [door, connect],
    [door, 'nonsense\r\n\r\n'],
    [doorOf(running, 'reverse'), reverse],
  ] as const)
    expect((await sendRaw(at, request, { until: WHOLE_ANSWER })).text, request).toContain('"code":"audit-full"')
  expect(upstream.heads()).toHaveLength(seen)
  const { text } = await askAdmin(running, '/metrics')
  expect(text).toMatch(/sallyport_refusals_total\{code="audit-full",connection=""\} 6/)
  expect(text).toMatch(/sallyport_audit_waiting_bytes\{sink="otlp"\} 6\d{4}/)
  const collector = await away.back()
  await eventually(async () => ((await askOften(running, 1)) === 1 ? true : undefined), 'service', 15_000)
  await eventually(() => (asksIn(collector).length === answered + 1 ? true : undefined), 'all asks')
  await running.stop('SIGTERM')
  expect(
    await verifyAudit(
      collector.records.map(({ body }) => body),
      { publicKeys },
    ),
  ).toMatchObject({ isIntact: true })
})

test('drop goes on when the spill is full, counts, and records what is missing', async () => {
  const away = await awayCollector()
  const { start, linesIn } = place(toCollector(away.port, { whenFull: 'drop' }))
  const running = await start()
  expect(await askOften(running, 120)).toBe(120)
  const lost = async () =>
    Number(/audit_dropped_total\{sink="otlp"\} (\d+)/.exec((await askAdmin(running, '/metrics')).text)?.[1])
  expect(await lost()).toBeGreaterThan(20)
  const collector = await away.back()
  const isThrough = async () => {
    await askOften(running, 1)
    return collector.records.some(({ eventName }) => eventName === 'sallyport.gap') ? true : undefined
  }
  await eventually(isThrough, 'a record of the gap', 15_000)
  await running.stop('SIGTERM')
  const there = await verifyAudit(
    collector.records.map(({ body }) => body),
    { publicKeys },
  )
  expect(there).toMatchObject({ isIntact: true, dropped: expect.any(Number) })
  expect(there.dropped).toBeGreaterThan(20)
  // The file has lost nothing, so nothing in it is excused.
  expect(await verifyAudit(linesIn('audit.jsonl'), { publicKeys })).toMatchObject({ isIntact: true, dropped: 0 })
})

test('rows of a store are the same chain, and go on from the last one there', async () => {
  const { openStore } = await import('../../src/store/open.ts')
  const { systemClock } = await import('../../src/wire/system-clock.ts')
  const { storeSettings } = await import('../../src/store/registry.ts')
  const { linesOfRows } = await import('../support/audit.ts')
  const directory = crmDirectory()
  onTestFinished(() => remove(directory))
  const sqlite = { kind: 'sqlite', path: 'state/audit.db' }
  const settings = { store: sqlite, audit: { instance: 'story', sinks: [{ kind: 'store' }], spill: { path: 'spill' } } }
  for (const signal of ['SIGTERM', 'SIGKILL', 'SIGTERM'] as const) {
    const running = await startSallyport(directory, crmSettings({ port: upstream.port, settings }))
    onTestFinished(() => void running.stop('SIGKILL'))
    expect(await askOften(running, 10)).toBe(10)
    await running.stop(signal)
  }
  const references = { secret: () => expect.unreachable(), file: () => expect.unreachable() }
  const onFault = (message: string) => expect.unreachable(message)
  const store = await openStore(storeSettings.parse(sqlite), { references, clock: systemClock, directory, onFault })
  onTestFinished(() => store.close())
  expect(await verifyAudit(linesOfRows(store.audit, 7))).toMatchObject({ isIntact: true, runs: 3, lines: 33 })
})

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { Delivery, type Route } from '../../src/audit/delivery.ts'
import type { SinkTools } from '../../src/audit/sink.ts'
import { store } from '../../src/audit/store.ts'
import { SendError } from '../../src/otlp/collector.ts'
import { KnobRows, linesOf, makeChain, makeSinkTools } from '../support/audit.ts'
import { eventually } from '../support/sallyport.ts'

let directory: string
let rows: KnobRows

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sallyport-delivery-'))
  rows = new KnobRows()
  onTestFinished(() => rmSync(directory, { recursive: true }))
})

function storeSink(changes: Partial<SinkTools> = {}) {
  const told = makeSinkTools({ name: 'store', rows, spill: { path: directory, maxBytes: 1024 ** 3 }, ...changes })
  return { sink: store.build({ kind: 'store' }, told.tools), ...told }
}

function routeTo(send: Route['send']): Route {
  return { send, latest: async () => undefined, maxLines: 10, tickMs: 1 }
}

function all(): Promise<number> {
  return eventually(() => (rows.rows.size === 10_000 ? rows.rows.size : undefined), 'all rows')
}

const numbers = Array.from({ length: 10_000 }, (_, index) => index + 1)

test('brings every line there once, in order, 200 at a time', async () => {
  const { sink } = storeSink()
  for (const line of linesOf(makeChain(), 10_000)) sink.write(line)
  await all()
  expect(rows.order).toEqual(numbers)
  expect(Math.max(...rows.batches)).toBe(200)
  await sink.close()
  expect(readdirSync(directory)).toEqual([])
})

test('a few lines do not wait for more, and a line is gone from memory with its batch', async () => {
  const { sink } = storeSink()
  for (const line of linesOf(makeChain(), 3)) sink.write(line)
  await eventually(() => (rows.rows.size === 3 ? true : undefined), 'three rows', 1_000)
  await eventually(() => (sink.waitingBytes() === 0 ? true : undefined), 'nothing to wait', 1_000)
  await sink.close()
})

test('a database that fails at random, before or after it took them, gets each line once and in order', async () => {
  const { sink, faults } = storeSink()
  let turn = 0
  // Two of three fail, in no rhythm of the batches: an LCG, so that every run is the same one.
  rows.knob = () => {
    turn = (turn * 1_103_515_245 + 12_345) % 2 ** 31
    const share = turn / 2 ** 31
    return share < 0.02 ? 'fail' : share < 0.04 ? 'take and fail' : 'take'
  }
  for (const line of linesOf(makeChain(), 10_000)) sink.write(line)
  await all()
  expect(rows.order).toEqual(numbers)
  expect(faults.length).toBeGreaterThan(0)
  await sink.close()
})

test('what a lost database cannot take waits on the disk, and is there after the next start', async () => {
  const lines = linesOf(makeChain(), 10_000)
  rows.knob = () => 'fail'
  const first = storeSink()
  for (const line of lines.slice(0, 9_000)) first.sink.write(line)
  await first.sink.close()
  expect(rows.rows.size).toBe(0)
  expect(first.dropped()).toBe(0)
  expect(await first.sink.latest('host-1')).toMatchObject({ seq: 9_000 })
  rows.knob = () => 'take'
  const second = storeSink()
  for (const line of lines.slice(9_000)) second.sink.write(line)
  await all()
  expect(rows.order).toEqual(numbers)
  await second.sink.close()
})

test('more waits than memory may hold, while new lines come, and nothing is out of order', async () => {
  rows.knob = () => 'fail'
  const { sink } = storeSink()
  const chain = makeChain()
  for (const line of linesOf(chain, 9_990)) sink.write(line)
  expect(sink.waitingBytes()).toBeGreaterThan(6 * 1024 ** 2)
  rows.knob = () => 'take'
  const trickle = setInterval(
    () => linesOf(chain, 1).forEach((line) => chain.head.seq <= 10_000 && sink.write(line)),
    20,
  )
  onTestFinished(() => clearInterval(trickle))
  await all()
  expect(rows.order).toEqual(numbers)
  await sink.close()
})

test('kill -9 in the middle loses nothing that was on the disk, counted', async () => {
  for (const instance of ['host-1', 'host-2', 'host-3']) {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'spilling-child.ts'), directory, instance], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let printed = ''
    child.stdout.on('data', (chunk) => (printed += chunk))
    const safeAt = () => Number(printed.slice(0, printed.lastIndexOf('\n')).split('\n').at(-1))
    await eventually(() => (safeAt() > 3_000 ? true : undefined), 'lines on the disk')
    child.kill('SIGKILL')
    await once(child, 'close')
    const safe = safeAt()
    const found = makeSinkTools({ name: 'test', spill: { path: directory, maxBytes: 1024 ** 3 } })
    const seen = new Array<number>()
    const delivery = new Delivery(
      routeTo(async (lines) => {
        seen.push(...lines.filter((line) => line.instance === instance).map(({ seq }) => seq))
        return { rejected: 0 }
      }),
      found.tools,
    )
    await delivery.close()
    expect(seen.length).toBeGreaterThanOrEqual(safe)
    expect(seen).toEqual(
      numbers.concat(Array.from({ length: 90_000 }, (_, index) => 10_001 + index)).slice(0, seen.length),
    )
    expect(readdirSync(directory)).toEqual([])
  }
})

test('refuses when the spill is full, keeps what was under way, and goes on by itself', async () => {
  rows.knob = () => 'fail'
  const { sink, dropped } = storeSink({ spill: { path: directory, maxBytes: 128 * 1024 } })
  const chain = makeChain()
  while (!sink.isFull()) for (const line of linesOf(chain, 1)) sink.write(line)
  const underWay = linesOf(chain, 20)
  for (const line of underWay) sink.write(line)
  rows.knob = () => 'take'
  await eventually(() => (sink.isFull() ? undefined : true), 'room')
  await eventually(() => (rows.rows.size === chain.head.seq ? true : undefined), 'all rows')
  expect(dropped()).toBe(0)
  await sink.close()
})

test('drops when it is full where that was asked for: counted, and told when it goes on', async () => {
  rows.knob = () => 'fail'
  const { sink, dropped, gaps } = storeSink({ whenFull: 'drop', spill: { path: directory, maxBytes: 128 * 1024 } })
  const chain = makeChain()
  while (dropped() < 50) for (const line of linesOf(chain, 1)) sink.write(line)
  const { run, seq } = chain.head
  expect(gaps).toEqual([])
  rows.knob = () => 'take'
  await eventually(() => (rows.rows.size === seq - 50 ? true : undefined), 'what was kept')
  for (const line of linesOf(chain, 1)) sink.write(line)
  expect(gaps).toEqual([{ run, from: seq - 49, to: seq }])
  await sink.close()
  expect(rows.order.at(-1)).toBe(seq + 1)
})

test('without a spill a little waits in memory, and what is lost at the end is told', async () => {
  rows.knob = () => 'fail'
  const { sink, dropped, faults } = storeSink({ spill: undefined })
  for (const line of linesOf(makeChain(), 300)) sink.write(line)
  await sink.close()
  expect(dropped()).toBe(300)
  expect(faults.at(-1)).toMatch(/^300 entries could not be delivered, and are lost: set audit\.spill/)
})

test('waits as long as it is told to', async () => {
  const times: number[] = []
  const { tools, faults } = makeSinkTools()
  const route = routeTo(async () => {
    times.push(performance.now())
    if (times.length === 1) throw new SendError('busy', 700)
    return { rejected: 0 }
  })
  const delivery = new Delivery(route, tools)
  for (const line of linesOf(makeChain(), 1)) delivery.write(line)
  await eventually(() => (times.length === 2 ? true : undefined), 'a second attempt')
  expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(690)
  expect(faults).toEqual(['busy'])
  await delivery.close()
})

test('what is refused for good is counted, told, and not sent again', async () => {
  const { tools, faults, dropped } = makeSinkTools()
  let sent = 0
  const delivery = new Delivery(
    routeTo(async (lines) => {
      sent += lines.length
      return { rejected: 2, reason: 'too old' }
    }),
    tools,
  )
  for (const line of linesOf(makeChain(), 5)) delivery.write(line)
  await delivery.close()
  expect([sent, dropped()]).toEqual([5, 2])
  expect(faults).toEqual(['2 entries were refused for good: too old'])
})

test('a place that it cannot spill to is told at the start', () => {
  const build = () => storeSink({ spill: { path: '/dev/null/nowhere', maxBytes: 1 } })
  expect(build).toThrow(/^audit\.spill\.path: \/dev\/null\/nowhere cannot be used \(ENOTDIR\): name a directory/)
})

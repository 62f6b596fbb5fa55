import { expect, test } from 'vitest'
import { MAX_PAIRS, OTHERS } from '../../src/telemetry/caller-use.ts'
import { LINGER_MS } from '../../src/telemetry/departed.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { NOTHING_READ } from '../../src/telemetry/readings.ts'

function site() {
  const [connections, callers, time] = [new Set(['crm', 'files']), new Set(['app', 'batch']), { ms: 0 }]
  const metrics = createMetrics(NOTHING_READ, {
    isConnection: (name) => name === '' || connections.has(name),
    isCaller: (name) => name === OTHERS || callers.has(name),
    monotonic: () => time.ms,
  })
  const ask = (connection: string, caller = 'app') => {
    metrics.requests.inc({ door: 'forward', connection, status: '2xx' })
    metrics.durations.observe({ door: 'forward', connection }, 1)
    metrics.responses.observe({ connection }, 1)
    metrics.refusals.inc({ code: 'grant-missing', connection })
    metrics.wouldRefuse.inc({ code: 'grant-missing', connection })
    metrics.mints.inc({ connection, outcome: 'ok' })
    metrics.mintDurations.observe({ connection }, 1)
    metrics.lastMints.set({ connection }, 1)
    metrics.callers.add({ caller, connection, outcome: 'answered', bytesIn: 1, bytesOut: 1 })
  }
  const series = async (part: string) => {
    const lines = (await metrics.registry.metrics()).split('\n')
    return lines.filter((line) => !line.startsWith('#') && line.includes(part))
  }
  return { connections, callers, time, metrics, ask, series }
}

test('the series of a connection that was removed are told for five minutes more, and then none of them is', async () => {
  const { connections, time, ask, series } = site()
  ask('crm')
  ask('files')
  ask('')
  const before = await series('connection="crm"')
  // Of the eight metrics and the two of callers, histograms with each bucket.
  expect(new Set(before.map((line) => line.split(/_bucket|_sum|_count|\{/)[0])).size).toBe(10)
  connections.delete('crm')
  expect(await series('connection="crm"')).toEqual(before)
  time.ms += LINGER_MS - 1
  expect(await series('connection="crm"')).toEqual(before)
  time.ms += 1
  expect(await series('connection="crm"')).toEqual([])
  expect(await series('connection="crm"')).toEqual([])
  expect(await series('connection="files"')).toHaveLength(before.length)
  expect((await series('connection=""')).length).toBeGreaterThan(0)
})

test('what comes back in time goes on where it was, and what comes back later begins anew', async () => {
  const { connections, time, ask, series } = site()
  const count = async () => (await series('sallyport_requests_total{door="forward",connection="crm"'))[0]?.slice(-2)
  ask('crm')
  connections.delete('crm')
  await series('')
  time.ms += LINGER_MS - 1
  connections.add('crm')
  ask('crm')
  expect(await count()).toBe(' 2')
  time.ms += LINGER_MS
  expect(await count()).toBe(' 2')
  connections.delete('crm')
  await series('')
  time.ms += LINGER_MS
  expect(await count()).toBeUndefined()
  connections.add('crm')
  ask('crm')
  expect(await count()).toBe(' 1')
})

test('what was still in flight, and is counted when its series have gone, is told for as long again', async () => {
  const { connections, time, ask, series } = site()
  ask('crm')
  connections.delete('crm')
  await series('')
  time.ms += LINGER_MS
  expect(await series('connection="crm"')).toEqual([])
  ask('crm')
  const late = await series('connection="crm"')
  expect(late).toContain('sallyport_requests_total{door="forward",connection="crm",status="2xx"} 1')
  time.ms += LINGER_MS - 1
  expect(await series('connection="crm"')).toEqual(late)
  time.ms += 1
  expect(await series('connection="crm"')).toEqual([])
})

test('a caller that was removed goes as well, and leaves its place among those that are told apart', async () => {
  const { callers, time, ask, metrics, series } = site()
  for (let count = 0; count < MAX_PAIRS; count++) {
    callers.add(`caller-${count}`)
    ask('crm', `caller-${count}`)
  }
  ask('crm', 'app')
  expect(await series('caller="app"')).toEqual([])
  callers.clear()
  callers.add('app')
  await series('')
  time.ms += LINGER_MS
  await series('')
  ask('crm', 'app')
  expect(await series('sallyport_caller_requests_total{')).toEqual([
    `sallyport_caller_requests_total{caller="${OTHERS}",connection="crm",outcome="answered"} 1`,
    'sallyport_caller_requests_total{caller="app",connection="crm",outcome="answered"} 1',
  ])
  expect(metrics.callers.bytes()).toHaveLength(4)
})

import { readFileSync } from 'node:fs'
import { Histogram } from 'prom-client'
import { expect, test } from 'vitest'
import { MAX_PAIRS, OTHERS } from '../../src/telemetry/caller-use.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { NOTHING_READ } from '../../src/telemetry/readings.ts'

const { registry } = createMetrics(NOTHING_READ)
const own = registry.getMetricsAsArray().filter(({ name }) => name.startsWith('sallyport_'))

test('each metric is a row of the table in deploy/observability/README.md, and each row a metric', () => {
  const readme = readFileSync(new URL('../../deploy/observability/README.md', import.meta.url), 'utf8')
  const rows = readme.match(/^\| `sallyport_[a-z0-9_]+` \|.*$/gm) ?? []
  expect(rows).toEqual(own.map(rowOf))
})

/** As the table has it: name, type, labels, help. */
function rowOf({ name, help, type }: (typeof own)[number]): string {
  const labels = labelsOf(name).map((label) => `\`${label}\``)
  return `| \`${name}\` | ${String(type)} | ${labels.join(', ')} | ${help.replaceAll('|', '\\|')} |`
}

function labelsOf(name: string): readonly string[] {
  // prom-client keeps them under this name, and its types leave it out.
  const metric = registry.getSingleMetric(name) as unknown as { readonly labelNames?: readonly string[] }
  return metric.labelNames ?? []
}

test.each(own.map(({ name, type }) => [name, String(type)] as const))('%s is named as metrics are', (name, type) => {
  expect(name).toMatch(/^sallyport(_[a-z0-9]+)+$/)
  expect(name.endsWith('_total'), 'counters alone end so').toBe(type === 'counter')
  if (type === 'histogram') expect(name).toMatch(/_seconds$/)
})

test('histograms have eight buckets at most, and never the label of a caller: a caller may be one of thousands', () => {
  const histograms = own.map(({ name }) => registry.getSingleMetric(name)).filter((one) => one instanceof Histogram)
  expect(histograms).toHaveLength(4)
  for (const one of histograms) {
    const { name, upperBounds, labelNames } = one as unknown as {
      readonly name: string
      readonly upperBounds: readonly number[]
      readonly labelNames: readonly string[]
    }
    expect(upperBounds.length, name).toBeLessThanOrEqual(8)
    expect(labelNames, name).not.toContain('caller')
  }
})

test('what a scrape prints is what Prometheus reads: labels are escaped, and infinite is spelled', async () => {
  const odd = { ...NOTHING_READ, sallyport_file_reload_failing: () => [[{ file: 'a "b" \\ c\nd' }, 1] as const] }
  const metrics = createMetrics({ ...odd, sallyport_memory_limit_bytes: () => [[{}, Number.POSITIVE_INFINITY]] })
  metrics.durations.observe({ door: 'forward', connection: 'crm' }, 0.1)
  const text = await metrics.registry.metrics()
  expect(text).toContain('sallyport_file_reload_failing{file="a \\"b\\" \\\\ c\\nd"} 1\n')
  expect(text).toContain('sallyport_memory_limit_bytes +Inf\n')
  expect(text).toContain('sallyport_request_duration_seconds_bucket{le="+Inf",door="forward",connection="crm"} 1\n')
  expect(text).toMatch(/^# HELP process_cpu_seconds_total .*\n# TYPE process_cpu_seconds_total counter\n/m)
})

test('what cannot be read is left out and counted, and nothing else is missing', async () => {
  const broken = () => {
    throw new Error('no')
  }
  const metrics = createMetrics({ ...NOTHING_READ, sallyport_store_revision: broken, sallyport_ready: () => [[{}, 1]] })
  await metrics.registry.metrics()
  const text = await metrics.registry.metrics()
  expect(text).toContain('sallyport_ready 1\n')
  expect(text).not.toMatch(/^sallyport_store_revision/m)
  expect(text).toMatch(/^sallyport_reading_failures_total\{metric="sallyport_store_revision"\} \d$/m)
})

test('all who scrape at one time share one scrape', async () => {
  let reads = 0
  const counted = () => {
    reads += 1
    return []
  }
  const metrics = createMetrics({ ...NOTHING_READ, sallyport_ready: counted })
  const [one, other] = await Promise.all([metrics.registry.metrics(), metrics.registry.metrics()])
  expect(one).toBe(other)
  expect(reads).toBe(1)
})

test('pairs of caller and connection are bounded: what is beyond is counted for the others', async () => {
  const metrics = createMetrics(NOTHING_READ)
  const ask = { outcome: 'answered', bytesIn: 1, bytesOut: 2 } as const
  for (let caller = 0; caller < 2 * MAX_PAIRS; caller++)
    metrics.callers.add({ ...ask, caller: `caller-${caller}`, connection: 'crm' })
  const text = await metrics.registry.metrics()
  expect(text.match(/^sallyport_caller_requests_total\{/gm)).toHaveLength(MAX_PAIRS + 1)
  expect(text).toContain(
    `sallyport_caller_requests_total{caller="${OTHERS}",connection="crm",outcome="answered"} ${MAX_PAIRS}\n`,
  )
  expect(text).toContain(`sallyport_caller_bytes_total{caller="${OTHERS}",connection="crm",direction="received"}`)
})

test('a scrape gives way to requests, however much there is', async () => {
  const metrics = createMetrics(NOTHING_READ)
  for (let caller = 0; caller < MAX_PAIRS; caller++)
    metrics.callers.add({ caller: `c${caller}`, connection: 'crm', outcome: 'answered', bytesIn: 1, bytesOut: 2 })
  let turns = 0
  let isOver = false
  const count = () => {
    turns += 1
    if (!isOver) setImmediate(count)
  }
  setImmediate(count)
  await metrics.registry.metrics()
  isOver = true
  // One for each metric at least, and one for each hundred series.
  expect(turns).toBeGreaterThan(own.length + (3 * MAX_PAIRS) / 100)
})

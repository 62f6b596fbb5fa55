import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { hasTool } from '../../support/debian.ts'
import { type RunningPrometheus, startPrometheus } from '../../support/prometheus.ts'
import { eventually } from '../../support/sallyport.ts'
import { panels, type Target, targets } from './dashboard-file.ts'
import { alerts, RULES, recordings } from './rules.ts'
import { type ObservedSite, openObservedSite, spoilDoorCertificate } from './site.ts'

/**
 * A real Sallyport with traffic, refusals and a failing issuer, scraped by a real Prometheus that has our rules: everything
 * that rules and panels ask for is asked of it.
 */
const withPrometheus = test.skipIf(!hasTool('prometheus'))

const STALE = 'sallyport_credential_stale_expiry_timestamp_seconds'

let site: ObservedSite
let prometheus: RunningPrometheus
let driving: NodeJS.Timeout
/** When there was everything, in Unix seconds: a token that cannot be refreshed is there for seconds alone. */
let at: number

beforeAll(async () => {
  if (!hasTool('prometheus')) return
  site = await openObservedSite()
  prometheus = await startPrometheus({
    targets: [site.target],
    rules: RULES,
    externalLabels: { runbooks: 'https://wiki.test' },
  })
  let isBusy = false
  driving = setInterval(() => {
    if (isBusy) return
    isBusy = true
    site.drive().then(
      () => (isBusy = false),
      () => (isBusy = false),
    )
  }, 200)
  await spoilDoorCertificate(site)
  // The token of one connection has begun to end, and counters have risen between two scrapes.
  at = await eventually(
    async () => {
      const recorded = await prometheus.query('instance:sallyport_credential_stale:remaining_seconds')
      const [seen] = await prometheus.query(`max(max_over_time(timestamp(${STALE})[2m:1s]))`)
      return recorded.length > 0 ? seen?.value : undefined
    },
    'a token that cannot be refreshed, and is recorded',
    120_000,
  )
}, 240_000)

afterAll(async () => {
  clearInterval(driving)
  await prometheus?.stop()
  await site?.close()
})

/** Nothing to be seen here, and why. */
const EMPTY = new Map([
  ['Switched off', 'no connection is'],
  ['Would be refused', 'nothing is in report mode'],
  ['Audit, lost', 'nothing is'],
])
/** Depends on the machine: a control group with a limit, or none. */
const MAYBE = new Set(['sallyport_memory_limit_bytes', 'instance:sallyport_memory:ratio'])

withPrometheus.each(targets.map((one) => [`${one.panel}: ${one.expr}`, one] as const))(
  'panel %s',
  async (_name, target) => {
    const found = await prometheus.query(filledIn(target), at)
    if (EMPTY.has(target.panel)) expect(found).toEqual([])
    else if (!MAYBE.has(target.expr.split('{')[0] ?? '')) expect(found.length).toBeGreaterThan(0)
  },
)

withPrometheus.each(recordings)('$record is recorded', async ({ record, expr }) => {
  const found = await prometheus.query(expr, at)
  if (MAYBE.has(record)) return
  expect(found.length).toBeGreaterThan(0)
  expect((await prometheus.query(`last_over_time(${record}[5m])`)).length).toBeGreaterThan(0)
})

withPrometheus.each(alerts)('$alert asks what can be asked', async ({ expr }) => {
  await expect(prometheus.query(expr)).resolves.toBeDefined()
})

/** What goes wrong here. */
const WRONG = [
  'SallyportCredentialUnavailable',
  'SallyportFileReloadFailing',
  'SallyportLoginNeeded',
  'SallyportMintFailing',
  'SallyportTokenExpiring',
  'SallyportUpstreamErrors',
]
/** A matter of how fast this machine is just now, of how long the test has run, and of what was before the first scrape. */
const CHANCE = new Set([
  'SallyportDown',
  'SallyportRefusalSurge',
  'SallyportWrongProofs',
  'SallyportOverheadHigh',
  'SallyportEventLoopSaturated',
  'SallyportMemoryHigh',
])

withPrometheus('what goes wrong here is seen, and nothing else is', async () => {
  const seen = await eventually(
    async () => {
      const found = await prometheus.query('count by (alertname) (count_over_time(ALERTS[5m]))')
      const names = new Set(found.map(({ metric }) => metric['alertname'] ?? ''))
      return WRONG.every((name) => names.has(name)) ? names : undefined
    },
    'alerts',
    40_000,
  )
  expect([...seen].filter((name) => !CHANCE.has(name)).toSorted()).toEqual(WRONG)
  const login = (await prometheus.alerts()).find(({ labels }) => labels['alertname'] === 'SallyportLoginNeeded')
  expect(login).toMatchObject({
    labels: { connection: 'person', severity: 'warning', namespace: 'test' },
    annotations: {
      summary: 'Somebody has to log in for person',
      runbook_url: 'https://wiki.test/SallyportLoginNeeded.md',
    },
  })
})

withPrometheus('the variables of the dashboard find what they select', async () => {
  for (const [metric, label, value] of [
    ['sallyport_build_info', 'namespace', 'test'],
    ['sallyport_connection_disabled', 'connection', 'crm'],
    ['sallyport_caller_requests_total', 'caller', 'checkout'],
  ] as const)
    expect((await prometheus.query(metric)).map((one) => one.metric[label])).toContain(value)
})

test('what is listed as empty is there', () => {
  const titles = panels.map(({ title }) => title)
  for (const title of EMPTY.keys()) expect(titles).toContain(title)
})

/** As Grafana would, with all of everything selected. */
function filledIn({ expr }: Target): string {
  return expr
    .replaceAll(/\$(namespace|instance|connection|caller)/g, '.*')
    .replaceAll('$__rate_interval', '10s')
    .replaceAll('$__range', '1m')
}

test('no variable of Grafana is left in a query, but for those', () => {
  for (const target of targets) expect(filledIn(target)).not.toContain('$')
  expect(readFileSync(RULES[1] ?? '', 'utf8')).not.toContain('$__')
})

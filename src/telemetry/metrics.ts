import { Counter, collectDefaultMetrics, Gauge, Histogram, type Metric, type Registry } from 'prom-client'
import { CallerUse } from './caller-use.ts'
import { Departed, NOBODY_LEAVES } from './departed.ts'
import { type Readings, readings } from './readings.ts'
import { SteppedRegistry } from './stepped-registry.ts'

/** Labels come from registries and settings, never from a caller's input: the number of series is bounded by the config. */
export interface Metrics {
  readonly registry: Registry
  readonly requests: Counter<'door' | 'connection' | 'status'>
  readonly durations: Histogram<'door' | 'connection'>
  readonly overheads: Histogram<'door'>
  readonly responses: Histogram<'connection'>
  readonly refusals: Counter<'code' | 'connection'>
  readonly wouldRefuse: Counter<'code' | 'connection'>
  readonly callers: CallerUse
  readonly mints: Counter<'connection' | 'outcome'>
  readonly mintDurations: Histogram<'connection'>
  readonly lastMints: Gauge<'connection'>
  readonly auditDropped: Counter<'sink'>
  readonly reloads: Counter<'outcome'>
  /** 1 where the settings file says something else than what is served. */
  readonly settingsStale: Gauge
  readonly socketsRefused: Counter<'door'>
  readonly spansDropped: Counter<'reason'>
}

/** What is read at a scrape besides what is counted here. */
export type HouseReadings = Omit<Readings, 'sallyport_caller_requests_total' | 'sallyport_caller_bytes_total'>

const REQUEST_BUCKETS = [0.005, 0.025, 0.1, 0.25, 1, 5, 30]
const OVERHEAD_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1]
const RESPONSE_BUCKETS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 5, 30]
const MINT_BUCKETS = [0.025, 0.1, 0.25, 1, 2.5, 10]

/** One registry for each process; `house` is asked at each scrape, and so is what names there are. */
export function createMetrics(house: HouseReadings, names = NOBODY_LEAVES): Metrics {
  const departed = new Departed(names)
  const registry = new SteppedRegistry(departed)
  collectDefaultMetrics({ register: registry })
  const callers = new CallerUse(departed)
  const counted = {
    sallyport_caller_requests_total: () => callers.requests(),
    sallyport_caller_bytes_total: () => callers.bytes(),
  }
  registerReadings(registry, { ...house, ...counted })
  return { registry, callers, ...measuresIn(registry) }
}

function measuresIn(registry: Registry): Omit<Metrics, 'registry' | 'callers'> {
  const registers = [registry]
  return {
    requests: new Counter({
      name: 'sallyport_requests_total',
      help: 'Asks by door, connection and class of the status answered',
      labelNames: ['door', 'connection', 'status'],
      registers,
    }),
    durations: new Histogram({
      name: 'sallyport_request_duration_seconds',
      help: 'From the head of an ask to the last byte of its answer',
      labelNames: ['door', 'connection'],
      buckets: REQUEST_BUCKETS,
      registers,
    }),
    overheads: new Histogram({
      name: 'sallyport_overhead_seconds',
      help: 'Our own part: from the head of an ask until it goes upstream, without the wait for a credential',
      labelNames: ['door'],
      buckets: OVERHEAD_BUCKETS,
      registers,
    }),
    responses: new Histogram({
      name: 'sallyport_upstream_response_seconds',
      help: 'The upstream’s part: from sending, a dial included, to the head of its answer',
      labelNames: ['connection'],
      buckets: RESPONSE_BUCKETS,
      registers,
    }),
    refusals: new Counter({
      name: 'sallyport_refusals_total',
      help: 'Answers that were ours and not the upstream’s, by problem code',
      labelNames: ['code', 'connection'],
      registers,
    }),
    wouldRefuse: new Counter({
      name: 'sallyport_would_refuse_total',
      help: 'Asks that report mode let through, by the code that would have refused them',
      labelNames: ['code', 'connection'],
      registers,
    }),
    mints: new Counter({
      name: 'sallyport_mints_total',
      help: 'Attempts to mint a credential',
      labelNames: ['connection', 'outcome'],
      registers,
    }),
    mintDurations: new Histogram({
      name: 'sallyport_mint_duration_seconds',
      help: 'Time an issuer took to answer',
      labelNames: ['connection'],
      buckets: MINT_BUCKETS,
      registers,
    }),
    lastMints: new Gauge({
      name: 'sallyport_mint_last_success_timestamp_seconds',
      help: 'When a mint last went well; absent before the first',
      labelNames: ['connection'],
      registers,
    }),
    auditDropped: new Counter({
      name: 'sallyport_audit_dropped_total',
      help: 'Entries that a sink of the audit has lost, or a collector has refused for good',
      labelNames: ['sink'],
      registers,
    }),
    reloads: new Counter({
      name: 'sallyport_settings_reloads_total',
      help: 'How often settings were read again while running, and whether they were taken in',
      labelNames: ['outcome'],
      registers,
    }),
    settingsStale: new Gauge({
      name: 'sallyport_settings_stale',
      help: '1 while the settings that were read last could not be taken in, and those before are served',
      registers,
    }),
    socketsRefused: new Counter({
      name: 'sallyport_sockets_refused_total',
      help: 'Sockets that were closed because there were too many at a door, or at all doors together',
      labelNames: ['door'],
      registers,
    }),
    spansDropped: new Counter({
      name: 'sallyport_spans_dropped_total',
      help: 'Spans that a collector never gets, and, by the reason rate, asks that have none because there were too many',
      labelNames: ['reason'],
      registers,
    }),
  }
}

/** Not as gauges that are set at each scrape: to hash the labels of 2500 series costs more than to print them. */
function registerReadings(registry: Registry, read: Readings): void {
  const failures = new Counter({
    name: 'sallyport_reading_failures_total',
    help: 'Times that a metric was left out of a scrape because it could not be read',
    labelNames: ['metric'],
    registers: [registry],
  })
  for (const [name, row] of Object.entries(readings)) {
    const { help, labels } = row
    const type = 'isCounter' in row ? 'counter' : 'gauge'
    const get = async () => ({ name, help, type, aggregator: 'sum', values: await valuesOf(name) })
    // The registry calls `get` of whatever it holds, and nothing else; its types know its own classes alone.
    registry.registerMetric({ name, help, type, labelNames: labels, get } as unknown as Metric)
  }

  async function valuesOf(name: string): Promise<{ readonly labels: object; readonly value: number }[]> {
    try {
      // A key of the same rows.
      return Array.from(await read[name as keyof Readings](), ([labels, value]) => ({ labels, value }))
    } catch {
      failures.inc({ metric: name })
      return []
    }
  }
}

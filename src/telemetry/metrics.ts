import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** Labels come from registries and settings, never from a caller's input: the number of series is bounded by the config. */
export interface Metrics {
  readonly registry: Registry
  readonly requests: Counter<'door' | 'connection' | 'status'>
  readonly durations: Histogram<'door' | 'connection'>
  readonly refusals: Counter<'code' | 'connection'>
  readonly wouldRefuse: Counter<'code' | 'connection'>
  readonly mints: Counter<'connection' | 'outcome'>
  readonly mintDurations: Histogram<'connection'>
  readonly auditDropped: Counter<'sink'>
  readonly reloads: Counter<'outcome'>
  /** 1 where the settings file says something else than what is served. */
  readonly settingsStale: Gauge
  readonly socketsRefused: Counter<'door'>
}

/** What is read at the moment of a scrape. */
export interface Gauges {
  openSockets(): ReadonlyMap<string, number>
  /** ms since the epoch, by connection; absent where nothing expires. */
  expiries(): ReadonlyMap<string, number>
  /** Bytes of the audit that are not where they belong yet, by sink. */
  auditWaiting(): ReadonlyMap<string, number>
  /** Ms since the store was known to be confirmed; undefined where there is none. */
  storeAge(): number | undefined
}

const REQUEST_BUCKETS = [0.005, 0.025, 0.1, 0.25, 1, 5, 30]
const MINT_BUCKETS = [0.025, 0.1, 0.25, 1, 2.5, 10]

/** One registry for each process; `gauges` is asked at each scrape. */
export function createMetrics(gauges: Gauges): Metrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  registerGauges(registry, gauges)
  return {
    registry,
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
  }
}

function registerGauges(registry: Registry, gauges: Gauges): void {
  const sockets = new Gauge({
    name: 'sallyport_open_sockets',
    help: 'Sockets open at a door',
    labelNames: ['door'],
    registers: [registry],
    collect() {
      for (const [door, count] of gauges.openSockets()) sockets.set({ door }, count)
    },
  })
  const expiries = new Gauge({
    name: 'sallyport_credential_expiry_timestamp_seconds',
    help: 'When the current credential of a connection expires',
    labelNames: ['connection'],
    registers: [registry],
    collect() {
      expiries.reset()
      for (const [connection, at] of gauges.expiries()) expiries.set({ connection }, at / 1000)
    },
  })
  const storeAge = new Gauge({
    name: 'sallyport_store_unconfirmed_seconds',
    help: 'How long ago what operators have granted was last known to be the newest; absent without a store',
    registers: [registry],
    collect() {
      const age = gauges.storeAge()
      if (age === undefined) storeAge.remove()
      else storeAge.set(age / 1000)
    },
  })
  const waiting = new Gauge({
    name: 'sallyport_audit_waiting_bytes',
    help: 'Bytes of the audit that a sink has not brought to their place yet',
    labelNames: ['sink'],
    registers: [registry],
    collect() {
      for (const [sink, bytes] of gauges.auditWaiting()) waiting.set({ sink }, bytes)
    },
  })
}

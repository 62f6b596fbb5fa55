/** Values with their labels, as they are at one scrape. */
export type Samples<L extends string> = Iterable<readonly [labels: Readonly<Record<L, string>>, value: number]>

interface Row {
  readonly help: string
  readonly labels: readonly string[]
  /** It only ever grows; a gauge without it. */
  readonly isCounter?: true
}

/** What is read at the moment of a scrape, and kept nowhere. Times are Unix seconds, so that an age is `time() - x`. */
export const readings = {
  sallyport_build_info: { help: 'Always 1: which Sallyport runs, on which Node', labels: ['version', 'node'] },
  sallyport_settings_info: {
    help: 'Always 1: which settings are served, by the digest that `sallyport check` and the audit say, too',
    labels: ['digest'],
  },
  sallyport_settings_loaded_timestamp_seconds: { help: 'When the settings that are served were read', labels: [] },
  sallyport_ready: { help: '1 while the doors are open and nothing shuts down, as /readyz says', labels: [] },
  sallyport_open_sockets: { help: 'Sockets open at a door', labels: ['door'] },
  sallyport_requests_under_way: {
    help: 'Asks, and tunnels, that have been let through and are not over',
    labels: ['connection', 'kind'],
  },
  sallyport_busiest_caller_ratio: {
    help: 'Share of limits.maxConcurrent that the caller with most asks under way has in use; at 1 it is refused',
    labels: ['connection'],
  },
  sallyport_upstream_sockets: { help: 'Connections open to the upstream, of all callers', labels: ['connection'] },
  sallyport_upstream_waiting_requests: {
    help: 'Asks that wait for a connection to the upstream',
    labels: ['connection'],
  },
  sallyport_connection_disabled: {
    help: '1 where the settings, or an operator, have switched the connection off',
    labels: ['connection'],
  },
  sallyport_credentials: {
    help: 'Credentials by what they do just now; several where each caller has its own',
    labels: ['connection', 'phase'],
  },
  sallyport_credential_minted_timestamp_seconds: {
    help: 'When the current token was asked for; the oldest where each caller has its own',
    labels: ['connection'],
  },
  sallyport_credential_expiry_timestamp_seconds: {
    help: 'When the current token expires; the soonest where each caller has its own',
    labels: ['connection'],
  },
  sallyport_credential_stale_expiry_timestamp_seconds: {
    help: 'The same, of tokens alone whose last refresh has failed; absent where there is none',
    labels: ['connection'],
  },
  sallyport_mint_pause_seconds: {
    help: 'How long the issuer is left alone after failures, by backoff and breaker; 0 when it may be asked',
    labels: ['connection'],
  },
  sallyport_login_needed: {
    help: '1 where nobody has logged in, or, where each caller has a login of its own, one of them is used up',
    labels: ['connection'],
  },
  sallyport_login_expiry_timestamp_seconds: {
    help: 'When the login that ends first does; absent where the issuer has not said',
    labels: ['connection'],
  },
  sallyport_audit_waiting_bytes: {
    help: 'Bytes of the audit that a sink has not brought to their place yet',
    labels: ['sink'],
  },
  sallyport_audit_waiting_limit_bytes: { help: 'How many may wait before the sink is full', labels: ['sink'] },
  sallyport_audit_full: {
    help: '1 while a sink can take no more: asks are refused, or lines dropped',
    labels: ['sink'],
  },
  sallyport_store_unconfirmed_seconds: {
    help: 'How long ago what operators have granted was last known to be the newest; absent without a store',
    labels: [],
  },
  sallyport_store_stale_limit_seconds: {
    help: 'store.staleMs: unconfirmed for longer than this, nothing goes out',
    labels: [],
  },
  sallyport_store_revision: {
    help: 'Grows with each change in the store; the same at every sidecar of a fleet',
    labels: [],
  },
  sallyport_certificate_expiry_timestamp_seconds: {
    help: 'When a certificate of ours expires: of a door, of a client towards an upstream or issuer, our own authority',
    labels: ['use', 'place'],
  },
  sallyport_certificate_valid_from_timestamp_seconds: {
    help: 'Since when it is good: with its end, how long it was made for',
    labels: ['use', 'place'],
  },
  sallyport_secret_changed_timestamp_seconds: {
    help: 'When the file of a secret that a connection uses was last written',
    labels: ['secret'],
  },
  sallyport_file_reload_failing: {
    help: '1 while a file of a secret or certificate cannot be used as it stands, and what it held before stays in use',
    labels: ['file'],
  },
  sallyport_memory_limit_bytes: { help: 'What the control group allows; absent where it sets no limit', labels: [] },
  sallyport_event_loop_busy_seconds_total: {
    help: 'Time in which the event loop did not wait; its rate is the share of the one core that it can use',
    labels: [],
    isCounter: true,
  },
  sallyport_caller_requests_total: {
    help: 'Asks by caller, connection and how they ended: answered by the upstream, refused by us, failed',
    labels: ['caller', 'connection', 'outcome'],
    isCounter: true,
  },
  sallyport_caller_bytes_total: {
    help: 'Bytes of bodies, sent to the upstream and received from it',
    labels: ['caller', 'connection', 'direction'],
    isCounter: true,
  },
} as const satisfies Readonly<Record<string, Row>>

type Rows = typeof readings

/** Where each of them is read. Called at each scrape; one that throws is left out of it. */
export type Readings = {
  readonly [N in keyof Rows]: () => Samples<Rows[N]['labels'][number]> | Promise<Samples<Rows[N]['labels'][number]>>
}

/** Nothing to read, for where there is no house. */
export const NOTHING_READ = Object.fromEntries(
  Object.keys(readings).map((name) => [name, () => []]),
  // Every row is there, because it is made of the rows.
) as unknown as Readings

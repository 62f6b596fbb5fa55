/** When an alert fires and when not yet: minutes since the series began. Values as promtool writes them, one a step. */
export interface AlertCase {
  readonly alert: string
  readonly severity: 'critical' | 'warning' | 'info'
  readonly series: Readonly<Record<string, string>>
  /** Not firing at this minute. */
  readonly quiet: number
  /** Firing at this one. */
  readonly fires: number
  /** Minutes between two values, and two evaluations; 1 without it. */
  readonly step?: number
}

const AT = 'job="sallyport",instance="a:15091",namespace="shop"'
const CRM = `${AT},connection="crm"`
const INFO = { [`sallyport_build_info{${AT},version="1",node="26"}`]: '1x400' }
const requests = (status: string) => `sallyport_requests_total{${CRM},door="forward",status="${status}"}`
const refusals = (code: string) => `sallyport_refusals_total{${CRM},code="${code}"}`
const DAY_MIN = 24 * 60

/** At least one case for each alert and severity. */
export const CASES: readonly AlertCase[] = [
  { alert: 'SallyportDown', severity: 'critical', series: { [`up{${AT}}`]: '1x10 0x20' }, quiet: 12, fires: 14 },
  // Nobody has ever heard of one.
  { alert: 'SallyportDown', severity: 'critical', series: { 'up{job="other"}': '1x20' }, quiet: 1, fires: 3 },
  {
    alert: 'SallyportRestarting',
    severity: 'warning',
    series: { ...INFO, [`process_start_time_seconds{${AT}}`]: '100x10 200x3 300x3 400x20' },
    quiet: 15,
    fires: 20,
  },
  {
    alert: 'SallyportInternalErrors',
    severity: 'critical',
    series: { [refusals('internal-error')]: '0x10 1+1x20', [refusals('grant-missing')]: '0+60x40' },
    quiet: 11,
    fires: 15,
  },
  {
    alert: 'SallyportUpstreamErrors',
    severity: 'critical',
    series: { [requests('2xx')]: '0+60x200', [requests('5xx')]: '0x60 0+30x140' },
    // By then all of five minutes is bad, and a tenth of the hour.
    quiet: 68,
    fires: 110,
  },
  {
    alert: 'SallyportUpstreamErrors',
    severity: 'warning',
    series: { [requests('2xx')]: '0+60x800', [requests('5xx')]: '0x400 0+6x400' },
    quiet: 450,
    fires: 760,
  },
  {
    alert: 'SallyportRefusalSurge',
    severity: 'warning',
    series: { [refusals('grant-missing')]: '0+1x60 61+60x40', [refusals('upstream-timeout')]: '0+1x60 61+600x40' },
    quiet: 64,
    fires: 72,
  },
  {
    alert: 'SallyportWrongProofs',
    severity: 'warning',
    series: { [refusals('caller-unknown')]: '0+6x30 180+60x30', [refusals('grant-missing')]: '0+600x60' },
    quiet: 34,
    fires: 44,
  },
  {
    alert: 'SallyportCallerSaturated',
    severity: 'warning',
    series: { [`sallyport_busiest_caller_ratio{${CRM}}`]: '0.8x10 0.95x20' },
    quiet: 14,
    fires: 17,
  },
  {
    alert: 'SallyportMintFailing',
    severity: 'warning',
    series: {
      [`sallyport_credentials{${CRM},phase="fresh"}`]: '1x10 _x20',
      // Now and then one is being tried, and the phase is another.
      [`sallyport_credentials{${CRM},phase="stale"}`]: '_x10 1x3 _ 1x3 _ 1x20',
    },
    quiet: 14,
    fires: 18,
  },
  {
    alert: 'SallyportTokenExpiring',
    severity: 'critical',
    // Twenty minutes are left when its refresh begins to fail.
    series: { [`sallyport_credential_stale_expiry_timestamp_seconds{${CRM}}`]: '_x10 1800x20' },
    quiet: 20,
    fires: 22,
  },
  {
    alert: 'SallyportCredentialUnavailable',
    severity: 'critical',
    series: { [refusals('credential-unavailable')]: '0x10 1+1x20', [refusals('grant-missing')]: '0+60x40' },
    quiet: 11,
    fires: 15,
  },
  {
    alert: 'SallyportLoginNeeded',
    severity: 'warning',
    series: { [`sallyport_login_needed{${CRM}}`]: '0x10 1x20' },
    quiet: 14,
    fires: 17,
  },
  {
    alert: 'SallyportLoginNeeded',
    severity: 'info',
    series: { [`sallyport_login_expiry_timestamp_seconds{${CRM}}`]: `${4 * DAY_MIN * 60}x200` },
    quiet: DAY_MIN + 30,
    fires: DAY_MIN + 90,
    step: 30,
  },
  {
    alert: 'SallyportIssuerSlow',
    severity: 'warning',
    series: {
      [`sallyport_mint_duration_seconds_sum{${CRM}}`]: '0+0.1x30 3+5x60',
      [`sallyport_mint_duration_seconds_count{${CRM}}`]: '0+1x90',
    },
    quiet: 38,
    fires: 60,
  },
  {
    alert: 'SallyportAuditWaiting',
    severity: 'warning',
    series: { [`sallyport_audit_waiting_bytes{${AT},sink="otlp"}`]: '0x10 2000000x20' },
    quiet: 19,
    fires: 22,
  },
  {
    alert: 'SallyportAuditWaiting',
    severity: 'critical',
    series: {
      [`sallyport_audit_waiting_bytes{${AT},sink="otlp"}`]: '0+100x40',
      [`sallyport_audit_waiting_limit_bytes{${AT},sink="otlp"}`]: '1000x40',
    },
    quiet: 10,
    fires: 12,
  },
  {
    alert: 'SallyportAuditFull',
    severity: 'critical',
    series: { [`sallyport_audit_full{${AT},sink="otlp"}`]: '0x10 1x20' },
    quiet: 11,
    fires: 13,
  },
  {
    alert: 'SallyportAuditDropped',
    severity: 'critical',
    // The series begins with what it is about.
    series: { [`sallyport_audit_dropped_total{${AT},sink="otlp"}`]: '_x10 5x20' },
    quiet: 9,
    fires: 12,
  },
  {
    alert: 'SallyportAuditDropped',
    severity: 'critical',
    series: { [`sallyport_audit_dropped_total{${AT},sink="otlp"}`]: '5x60 6x20' },
    quiet: 59,
    fires: 62,
  },
  {
    alert: 'SallyportStoreUnconfirmed',
    severity: 'warning',
    series: { [`sallyport_store_unconfirmed_seconds{${AT}}`]: '0.5x10 0+60x10' },
    quiet: 12,
    fires: 14,
  },
  {
    alert: 'SallyportStoreUnconfirmed',
    severity: 'critical',
    series: {
      [`sallyport_store_unconfirmed_seconds{${AT}}`]: '0.5x10 0+60x10',
      [`sallyport_store_stale_limit_seconds{${AT}}`]: '300x30',
    },
    quiet: 13,
    fires: 15,
  },
  {
    alert: 'SallyportCertificateExpiring',
    severity: 'warning',
    // Seventy-five days in all, which is five times fifteen: the last fourteen count.
    series: certificate(75),
    quiet: 61 * DAY_MIN,
    fires: 63 * DAY_MIN,
    step: DAY_MIN,
  },
  {
    alert: 'SallyportCertificateExpiring',
    severity: 'critical',
    series: certificate(75),
    quiet: 74 * DAY_MIN,
    fires: 74 * DAY_MIN + 12 * 60,
    step: 180,
  },
  {
    alert: 'SallyportCertificateExpiring',
    severity: 'warning',
    // One for ten hours, which something renews all the time: not before its last two.
    series: certificate(10 / 24),
    quiet: 8 * 60 + 25,
    fires: 8 * 60 + 35,
  },
  {
    alert: 'SallyportFileReloadFailing',
    severity: 'warning',
    series: { [`sallyport_file_reload_failing{${AT},file="crm"}`]: '0x10 1x20' },
    quiet: 14,
    fires: 17,
  },
  {
    alert: 'SallyportSettingsStale',
    severity: 'warning',
    series: { [`sallyport_settings_stale{${AT}}`]: '0x10 1x20' },
    quiet: 14,
    fires: 17,
  },
  {
    alert: 'SallyportOverheadHigh',
    severity: 'warning',
    series: {
      [`sallyport_overhead_seconds_bucket{${AT},door="forward",le="0.05"}`]: '0+60x30 1800+30x30',
      [`sallyport_overhead_seconds_bucket{${AT},door="forward",le="0.25"}`]: '0+60x60',
      [`sallyport_overhead_seconds_bucket{${AT},door="forward",le="+Inf"}`]: '0+60x60',
    },
    quiet: 36,
    fires: 45,
  },
  {
    alert: 'SallyportEventLoopSaturated',
    severity: 'warning',
    series: { [`sallyport_event_loop_busy_seconds_total{${AT}}`]: '0+20x30 600+57x30' },
    quiet: 38,
    fires: 47,
  },
  {
    alert: 'SallyportMemoryHigh',
    severity: 'warning',
    series: {
      [`process_resident_memory_bytes{${AT}}`]: '80x10 90x20',
      [`sallyport_memory_limit_bytes{${AT}}`]: '100x40',
    },
    quiet: 18,
    fires: 22,
  },
  {
    alert: 'SallyportFileDescriptors',
    severity: 'warning',
    series: { ...INFO, [`process_open_fds{${AT}}`]: '70x10 90x20', [`process_max_fds{${AT}}`]: '100x40' },
    quiet: 14,
    fires: 17,
  },
]

/** One that is good from the beginning on. */
function certificate(days: number) {
  const labels = `${AT},use="door",place="listeners[0].tls.certificate"`
  const minutes = days * DAY_MIN
  return {
    [`sallyport_certificate_valid_from_timestamp_seconds{${labels}}`]: `0x2000`,
    [`sallyport_certificate_expiry_timestamp_seconds{${labels}}`]: `${minutes * 60}x2000`,
  }
}

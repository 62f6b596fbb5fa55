/** One panel. `warn` and `bad`: thresholds; bad below warn where little is bad. */
export interface Panel {
  readonly title: string
  /** What it shows, and what to think of it. */
  readonly description: string
  readonly kind: 'stat' | 'timeseries' | 'table'
  /** As Grafana names it. */
  readonly unit: string
  /** Of 24 columns. */
  readonly width: number
  readonly queries: readonly (readonly [expr: string, legend: string])[]
  readonly warn?: number
  readonly bad?: number
  readonly min?: number
  readonly max?: number
  /** The alert whose runbook tells more. */
  readonly runbook?: string
}

/** Panels under one heading, of one height. */
export interface Row {
  readonly title: string
  readonly height: number
  readonly panels: readonly Panel[]
}

/** What the variables of the dashboard select: the series of these sidecars. */
export const I = 'namespace=~"$namespace",instance=~"$instance"'
/** The same, of the selected connections. */
export const C = `${I},connection=~"$connection"`
/** The same, by the selected callers. */
export const U = `${C},caller=~"$caller"`

/** Per second, added up. */
export function rate(metric: string, selection: string, by: string): string {
  return `sum by (${by}) (rate(${metric}{${selection}}[$__rate_interval]))`
}

/** Of a histogram, added up before. */
export function quantile(
  share: number,
  metric: string,
  { selection, by }: { readonly selection: string; readonly by: string },
): string {
  return `histogram_quantile(${share}, sum by (${by}) (rate(${metric}_bucket{${selection}}[$__rate_interval])))`
}

/** Of a histogram. */
export function mean(metric: string, selection: string): string {
  return `sum(rate(${metric}_sum{${selection}}[$__rate_interval])) / sum(rate(${metric}_count{${selection}}[$__rate_interval]))`
}

/** All asks, or those with this outcome, per second. */
export const asks = (outcome = '') => `sum(rate(sallyport_caller_requests_total{${U}${outcome}}[$__rate_interval]))`

import { credentials } from './credentials.ts'
import { latency } from './latency.ts'
import { overview } from './overview.ts'
import type { Panel, Row } from './panel.ts'
import { record, saturation } from './saturation.ts'
import { refusals, use } from './use.ts'

/** Top to bottom. */
const ROWS: readonly Row[] = [overview, use, refusals, credentials, latency, saturation, record]

/** Columns of a dashboard. @see https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/ */
const COLUMNS = 24
const DATASOURCE = { type: 'prometheus', uid: '${datasource}' }

/** The dashboard of deploy/observability/grafana, in Grafana's classic model. */
export function dashboard(): object {
  return {
    uid: 'sallyport',
    title: 'Sallyport',
    description:
      'Who uses what, what is refused, how it stands with credentials, whose time it takes. See deploy/observability.',
    tags: ['sallyport'],
    schemaVersion: 42,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: '30s',
    time: { from: 'now-1h', to: 'now' },
    timezone: 'browser',
    links: [],
    annotations: { list: [restarts()] },
    templating: { list: variables() },
    panels: laidOut(ROWS),
  }
}

/** Starts of a sidecar, and other settings, as lines in every panel. */
function restarts(): object {
  const expr =
    'changes(sallyport_settings_loaded_timestamp_seconds{namespace=~"$namespace",instance=~"$instance"}[2m]) > 0'
  const look = { enable: true, hide: false, iconColor: 'blue' }
  return { name: 'Starts', datasource: DATASOURCE, ...look, expr, titleFormat: 'started', textFormat: '{{instance}}' }
}

function variables(): object[] {
  const label = (name: string, metric: string) => ({
    name,
    type: 'query',
    datasource: DATASOURCE,
    query: { query: `label_values(${metric}, ${name})`, refId: name },
    definition: `label_values(${metric}, ${name})`,
    refresh: 2,
    sort: 1,
    multi: true,
    includeAll: true,
    // What has no such label is meant, too.
    allValue: '.*',
    current: { text: 'All', value: '$__all' },
  })
  return [
    { name: 'datasource', type: 'datasource', query: 'prometheus', current: {}, label: 'Prometheus' },
    label('namespace', 'sallyport_build_info'),
    label('instance', 'sallyport_build_info{namespace=~"$namespace"}'),
    label('connection', 'sallyport_connection_disabled{namespace=~"$namespace"}'),
    label('caller', 'sallyport_caller_requests_total{namespace=~"$namespace"}'),
    {
      name: 'runbooks',
      type: 'textbox',
      label: 'Runbooks at',
      query: 'deploy/runbooks',
      current: { text: 'deploy/runbooks', value: 'deploy/runbooks' },
    },
  ]
}

/** From left to right, and in the next line where a panel has no room; ids in that order. */
function laidOut(rows: readonly Row[]): object[] {
  const placed: object[] = []
  let y = 0
  for (const { title, height, panels } of rows) {
    placed.push({
      id: placed.length + 1,
      type: 'row',
      title,
      collapsed: false,
      gridPos: { x: 0, y, w: COLUMNS, h: 1 },
      panels: [],
    })
    y += 1
    let x = 0
    for (const panel of panels) {
      if (x + panel.width > COLUMNS) [x, y] = [0, y + height]
      placed.push(panelOf(panel, { id: placed.length + 1, gridPos: { x, y, w: panel.width, h: height } }))
      x += panel.width
    }
    y += height
  }
  return placed
}

function panelOf(panel: Panel, place: object): object {
  const { title, description, kind, unit, warn, bad, min, max, runbook } = panel
  return {
    ...place,
    type: kind,
    title,
    description,
    datasource: DATASOURCE,
    targets: panel.queries.map(([expr, legend], index) => targetOf(panel, { expr, legend, index })),
    fieldConfig: {
      defaults: {
        unit,
        ...(min !== undefined && { min }),
        ...(max !== undefined && { max }),
        thresholds: { mode: 'absolute', steps: stepsOf(panel) },
        ...(kind === 'timeseries' && { custom: { fillOpacity: 10, showPoints: 'never', ...linesAt(warn ?? bad) } }),
      },
      overrides: [],
    },
    options: OPTIONS[kind],
    ...(runbook && { links: [{ title: `Runbook: ${runbook}`, url: `\${runbooks}/${runbook}.md`, targetBlank: true }] }),
    ...(kind === 'table' && { transformations: [{ id: 'organize', options: { excludeByName: { Time: true } } }] }),
  }
}

interface Query {
  readonly expr: string
  readonly legend: string
  readonly index: number
}

function targetOf({ kind }: Panel, { expr, legend, index }: Query): object {
  const form =
    kind === 'timeseries'
      ? { range: true, format: 'time_series' }
      : { instant: true, format: kind === 'table' ? 'table' : 'time_series' }
  return { refId: String.fromCharCode(65 + index), datasource: DATASOURCE, expr, legendFormat: legend, ...form }
}

/** Where little is bad, as of a time that is left, the colours go the other way. */
function stepsOf({ warn, bad }: Pick<Panel, 'warn' | 'bad'>): object[] {
  const isFalling = warn !== undefined && bad !== undefined && bad < warn
  if (isFalling) return [step('red', null), step('orange', bad), step('green', warn)]
  return [
    step('green', null),
    ...(warn === undefined ? [] : [step('orange', warn)]),
    ...(bad === undefined ? [] : [step('red', bad)]),
  ]
}

function step(color: string, value: number | null): object {
  return { color, value }
}

function linesAt(threshold: number | undefined): object {
  return threshold === undefined ? {} : { thresholdsStyle: { mode: 'dashed' } }
}

const OPTIONS = {
  stat: { reduceOptions: { calcs: ['lastNotNull'] }, colorMode: 'value', graphMode: 'none', textMode: 'auto' },
  timeseries: {
    legend: { displayMode: 'table', placement: 'bottom', calcs: ['lastNotNull', 'max'] },
    tooltip: { mode: 'multi', sort: 'desc' },
  },
  table: { showHeader: true, sortBy: [{ displayName: 'Value', desc: true }] },
} as const

import { readFileSync } from 'node:fs'
import { DASHBOARD } from './rules.ts'

/** One panel as it stands in the file. */
export interface PanelInFile {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly datasource?: object
  readonly targets?: readonly { readonly refId: string; readonly expr: string }[]
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string; readonly thresholds?: object } }
  readonly links?: readonly { readonly title: string; readonly url: string }[]
}

/** One query of a panel. */
export interface Target {
  readonly panel: string
  readonly expr: string
}

interface DashboardFile {
  readonly uid: string
  readonly schemaVersion: number
  readonly panels: readonly PanelInFile[]
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] }
}

/** The dashboard as it is shipped; test/deploy/observability/dashboard.test.ts judges its form. */
export const dashboard = JSON.parse(readFileSync(DASHBOARD, 'utf8')) as DashboardFile

/** Without the headings. */
export const panels = dashboard.panels.filter(({ type }) => type !== 'row')

export const targets: readonly Target[] = panels.flatMap(({ title, targets: queries = [] }) =>
  queries.map(({ expr }) => ({ panel: title, expr })),
)

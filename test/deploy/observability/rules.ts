import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'

const ROOT = new URL('../../..', import.meta.url).pathname
const FOLDER = join(ROOT, 'deploy/observability')

/** The files of rules; those that record come first. */
export const RULES = ['recording-rules.yaml', 'alerts.yaml'].map((name) => join(FOLDER, 'prometheus', name))
/** What is described here. */
export const README = join(FOLDER, 'README.md')
export const DASHBOARD = join(FOLDER, 'grafana/sallyport.json')
export const RUNBOOKS = join(ROOT, 'deploy/runbooks')

/** One rule that alerts. */
export interface Alert {
  readonly alert: string
  readonly expr: string
  readonly for?: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string; readonly description: string; readonly runbook_url: string }
}

interface Recording {
  readonly record: string
  readonly expr: string
}

interface RuleFile {
  readonly groups: readonly { readonly name: string; readonly rules: readonly (Alert | Recording)[] }[]
}

function groupsIn(file: string | undefined): RuleFile['groups'] {
  // promtool judges the form.
  const content = parse(readFileSync(file ?? '', 'utf8')) as RuleFile
  return content.groups
}

/** Names of the groups, those that record first. */
export const groups: readonly string[] = RULES.flatMap((file) => groupsIn(file).map(({ name }) => name))

const rules = RULES.flatMap((file) => groupsIn(file).flatMap((group) => group.rules))

export const recordings = rules.filter((rule) => 'record' in rule)
export const alerts = rules.filter((rule) => 'alert' in rule)

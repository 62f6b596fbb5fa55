import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { hasTool, pathOf } from '../../support/debian.ts'
import { type AlertCase, CASES } from './alert-cases.ts'
import { alerts, groups, RULES } from './rules.ts'

const withPromtool = test.skipIf(!hasTool('promtool'))

withPromtool('promtool finds nothing wrong with the rules', () => {
  const said = execFileSync(pathOf('promtool'), ['check', 'rules', ...RULES], { encoding: 'utf8' })
  expect(said.match(/SUCCESS/g)).toHaveLength(RULES.length)
})

test('each alert, of each severity, has a case', () => {
  const all = alerts.map(({ alert, labels }) => `${alert} ${labels.severity}`)
  expect([...new Set(CASES.map(({ alert, severity }) => `${alert} ${severity}`))].toSorted()).toEqual(all.toSorted())
})

withPromtool.each(CASES.map((one, index) => [`${one.alert}, ${one.severity} (${index})`, one] as const))(
  '%s fires when it should, and not before',
  (_name, one) => {
    const { status, stdout, stderr } = runPromtool(unitTest(one), one.step)
    expect(status, stdout + stderr).toBe(0)
  },
)

withPromtool('a case that is wrong is found: the cases can fail', () => {
  const [first] = CASES
  expect(first && runPromtool(unitTest({ ...first, quiet: first.fires })).status).toBe(1)
})

withPromtool.each([
  [{}, 'deploy/runbooks/SallyportAuditFull.md'],
  [{ runbooks: 'https://wiki.example.com/sallyport' }, 'https://wiki.example.com/sallyport/SallyportAuditFull.md'],
])('with the external labels %j its runbook is %s', (labels, runbook) => {
  const rule = alerts.find(({ alert }) => alert === 'SallyportAuditFull')
  const series = 'sallyport_audit_full{instance="a",sink="otlp"}'
  const { status, stdout, stderr } = runPromtool({
    external_labels: labels,
    input_series: [{ series, values: '1x5' }],
    alert_rule_test: [
      {
        eval_time: '2m',
        alertname: 'SallyportAuditFull',
        exp_alerts: [
          {
            exp_labels: { severity: 'critical', instance: 'a', sink: 'otlp' },
            exp_annotations: {
              summary: rule?.annotations.summary,
              description:
                'The sink otlp of a is full, or cannot be written. With `whenFull: refuse` nothing goes out.',
              runbook_url: runbook,
            },
          },
        ],
      },
    ],
  })
  expect(status, stdout + stderr).toBe(0)
})

/** What Prometheus writes of its own alerts is asked for: how many of this one fire. */
function unitTest({ alert, severity, series, quiet, fires, step = 1 }: AlertCase): object {
  const expr = `count(ALERTS{alertname="${alert}",severity="${severity}",alertstate="firing"}) or vector(0)`
  const at = (minute: number, value: number) => ({
    expr,
    eval_time: `${minute}m`,
    exp_samples: [{ labels: '{}', value }],
  })
  return {
    interval: `${step}m`,
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    promql_expr_test: [at(quiet, 0), at(fires, 1)],
  }
}

function runPromtool(unit: object, step = 1) {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-promtool-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const file = join(directory, 'test.yml')
  // Without it promtool takes the groups in any order, and an alert may see what was recorded a step ago. JSON is YAML.
  const whole = {
    rule_files: RULES,
    evaluation_interval: `${step}m`,
    group_eval_order: groups,
    tests: [{ interval: '1m', ...unit }],
  }
  writeFileSync(file, JSON.stringify(whole))
  return spawnSync(pathOf('promtool'), ['test', 'rules', file], { encoding: 'utf8' })
}

test('every alert says how bad it is, in a line and in words, and where to read on', () => {
  for (const { alert, labels, annotations } of alerts) {
    expect(['critical', 'warning', 'info']).toContain(labels.severity)
    expect(annotations.summary.length, alert).toBeLessThan(80)
    expect(annotations.description.length, alert).toBeGreaterThan(annotations.summary.length)
    expect(annotations.runbook_url).toBe(
      `{{ with $externalLabels.runbooks }}{{ . }}{{ else }}deploy/runbooks{{ end }}/${alert}.md`,
    )
  }
  expect(readFileSync(RULES[1] ?? '', 'utf8')).not.toContain('\t')
})

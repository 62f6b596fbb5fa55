import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readings } from '../../../src/telemetry/readings.ts'
import { dashboard, panels, targets } from './dashboard-file.ts'
import { alerts, RUNBOOKS } from './rules.ts'

test('ids are unique, and so are the places of panels', () => {
  const ids = dashboard.panels.map(({ id }) => id)
  expect(new Set(ids).size).toBe(ids.length)
  const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, at) => `${x + (at % w)} ${y + Math.floor(at / w)}`),
  )
  expect(new Set(cells).size).toBe(cells.length)
  for (const { gridPos } of dashboard.panels) expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24)
})

test('the variables are those that queries use, and the data source is one of them', () => {
  const names = dashboard.templating.list.map(({ name }) => name)
  expect(names).toEqual(['datasource', 'namespace', 'instance', 'connection', 'caller', 'runbooks'])
  expect(JSON.stringify(panels.map(({ datasource }) => datasource)).match(/\$\{datasource\}/g)).toHaveLength(
    panels.length,
  )
  for (const name of ['namespace', 'instance', 'connection', 'caller'])
    expect(targets.some(({ expr }) => expr.includes(`$${name}`))).toBe(true)
})

test.each(panels.map((panel) => [panel.title, panel] as const))(
  '%s says what it shows, in which unit',
  (_title, panel) => {
    expect(panel.description?.length).toBeGreaterThan(10)
    expect(panel.fieldConfig?.defaults.unit).toBeTruthy()
    expect(panel.fieldConfig?.defaults.thresholds).toBeTruthy()
    expect(panel.targets?.length).toBeGreaterThan(0)
  },
)

test('links lead to runbooks that are there, of alerts that there are', () => {
  const names = new Set(alerts.map(({ alert }) => alert))
  const linked = panels.flatMap(({ links = [] }) =>
    links.map(({ url }) => url.replace('${runbooks}/', '').replace('.md', '')),
  )
  expect(linked.length).toBeGreaterThan(10)
  for (const name of linked) {
    expect(names).toContain(name)
    expect(existsSync(join(RUNBOOKS, `${name}.md`)), name).toBe(true)
  }
})

test('whatever is read of a house is shown, recorded or alerted of', () => {
  const all = [...targets, ...alerts].map(({ expr }) => expr).join('\n')
  const unseen = Object.keys(readings).filter((name) => !all.includes(name))
  // With its end, by which alerts tell how long one was made for; and of what loaded settings, an annotation.
  expect(unseen).toEqual(
    [
      'sallyport_settings_loaded_timestamp_seconds',
      'sallyport_store_stale_limit_seconds',
      'sallyport_certificate_valid_from_timestamp_seconds',
      'sallyport_memory_limit_bytes',
    ].filter((name) => !all.includes(name)),
  )
})

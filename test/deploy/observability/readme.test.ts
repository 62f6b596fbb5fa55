import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { hasTool, pathOf } from '../../support/debian.ts'
import { rendered } from '../../support/kubernetes-overlays.ts'
import { podOf } from '../../support/kubernetes-pod.ts'
import { hasKubernetesTools } from '../../support/kubernetes-tools.ts'
import { alerts, README, RULES } from './rules.ts'

const readme = readFileSync(README, 'utf8')
const folder = dirname(README)
const root = join(folder, '../..')

test('the table of alerts has each alert, once, with how bad it can be', () => {
  const rows = [...readme.matchAll(/^\| \[(\w+)\]\(\.\.\/runbooks\/(\w+)\.md\) \| ([\w, ]+) \|/gm)]
  const severities = Map.groupBy(alerts, ({ alert }) => alert)
  expect(rows.map(([, name, file, words]) => [name, file, words])).toEqual(
    [...severities].map(([name, all]) => [name, name, all.map(({ labels }) => labels.severity).join(', ')]),
  )
})

test('its links lead somewhere', () => {
  const targets = [...readme.matchAll(/\]\(([^)#:]+)\)/g)].map(([, target = '']) => target)
  expect(targets.filter((target) => !existsSync(join(folder, target)))).toEqual([])
})

test.skipIf(!hasTool('promtool'))('promtool takes the configuration of one machine, with the rules it names', () => {
  const file = 'deploy/observability/prometheus/prometheus.yml'
  expect(readme).toContain(`prometheus --config.file=${file} `)
  const said = execFileSync(pathOf('promtool'), ['check', 'config', file], { cwd: root, encoding: 'utf8' })
  expect(said.match(/SUCCESS: \d+ rules found/g)).toHaveLength(RULES.length)
})

test.skipIf(!hasTool('prometheus'))('its command starts one for whoever has no more than a home', async () => {
  const home = mkdtempSync(join(tmpdir(), 'sallyport-prometheus-'))
  const command = /^ *(prometheus --config.*)$/m.exec(readme)?.[1]?.replace(/:9091$/, ':0') ?? 'false'
  const child = spawn('sh', ['-c', `exec ${command}`], { cwd: root, env: { ...process.env, HOME: home } })
  onTestFinished(async () => {
    if (child.exitCode === null && child.kill()) await once(child, 'exit')
    rmSync(home, { recursive: true, force: true })
  })
  const isReady = async () => {
    for await (const line of createInterface({ input: child.stderr }))
      if (line.includes('ready to receive')) return true
    return false
  }
  expect(await isReady()).toBe(true)
  expect(readdirSync(home)).toEqual(['.sallyport-prometheus'])
})

test.skipIf(!hasTool('promtool'))('its command that checks the rules works as it is printed', () => {
  const line = /^ *promtool (.*)$/m.exec(readme)?.[1]?.split(' ') ?? []
  expect(execFileSync(pathOf('promtool'), line, { cwd: root, encoding: 'utf8' })).toContain('SUCCESS')
})

test('the PodMonitor goes by the name that alerts look for, and by the port of the health door', () => {
  const monitor = parse(readFileSync(join(folder, 'prometheus/podmonitor.yaml'), 'utf8'))
  expect(monitor).toMatchObject({ apiVersion: 'monitoring.coreos.com/v1', kind: 'PodMonitor' })
  const [endpoint] = monitor.spec.podMetricsEndpoints
  expect(endpoint).toMatchObject({ port: 'sp-health', path: '/metrics' })
  expect(endpoint.relabelings).toEqual([{ action: 'replace', targetLabel: 'job', replacement: 'sallyport' }])
  expect(alerts[0]?.expr).toContain('up{job="sallyport"}')
})

test.skipIf(!hasKubernetesTools()).each(['sidecar', 'gateway', 'transparent'])(
  'every pod of the overlay %s that has a Sallyport has the port that the PodMonitor goes by',
  (overlay) => {
    const pods = rendered(`overlays/${overlay}`).flatMap((one) => podOf(one)?.spec ?? [])
    const ours = pods.flatMap(({ initContainers = [], containers }) =>
      [...initContainers, ...containers].filter(({ name }) => name === 'sallyport'),
    )
    expect(ours.length).toBeGreaterThan(0)
    for (const { ports } of ours) expect(ports).toContainEqual({ name: 'sp-health', containerPort: 15091 })
  },
)

test('what is provisioned is where the file says, and is no secret', () => {
  const provisioning = parse(readFileSync(join(folder, 'grafana/provisioning.yaml'), 'utf8'))
  expect(provisioning).toMatchObject({ apiVersion: 1, providers: [{ type: 'file', name: 'sallyport' }] })
})

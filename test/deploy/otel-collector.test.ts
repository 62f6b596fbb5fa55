import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { settingsSchema } from '../../src/settings/schema.ts'

const FILE = new URL('../../deploy/observability/otel-collector.yaml', import.meta.url)
const text = readFileSync(FILE, 'utf8')

interface CollectorSettings {
  readonly receivers: { readonly otlp: { readonly protocols: { readonly http: { readonly endpoint: string } } } }
  readonly processors: object
  readonly exporters: object
  readonly service: { readonly pipelines: Readonly<Record<string, Pipeline>> }
}

type Pipeline = Readonly<Record<'receivers' | 'processors' | 'exporters', readonly string[]>>

const collector: CollectorSettings = parse(text)

/** The settings of Sallyport that stand in the comment. */
function shownSettings() {
  const shown = text
    .split('\n')
    .filter((line) => /^# {3}(?:traces|audit| {2,})/.test(line))
    .map((line) => line.slice(1))
  return settingsSchema.parse({
    listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }],
    ...parse(shown.filter((line) => !line.includes('otelcol ')).join('\n')),
  })
}

test('the settings that it shows are right, and lead to where it listens', () => {
  const { traces, audit } = shownSettings()
  const at = `http://${collector.receivers.otlp.protocols.http.endpoint}`
  expect(traces?.endpoint).toBe(`${at}/v1/traces`)
  expect(audit.sinks).toMatchObject([{ kind: 'otlp', endpoint: `${at}/v1/logs` }])
})

test('every part that a pipeline names is there, for traces and for logs', () => {
  const { pipelines } = collector.service
  expect(Object.keys(pipelines)).toEqual(['traces', 'logs'])
  for (const kind of ['receivers', 'processors', 'exporters'] as const) {
    const named = Object.values(pipelines).flatMap((pipeline) => pipeline[kind])
    expect(new Set(named)).toEqual(new Set(Object.keys(collector[kind])))
  }
})

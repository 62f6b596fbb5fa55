import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { CHART, helm } from '../../support/helm.ts'
import { hasKubernetesTools } from '../../support/kubernetes-tools.ts'

interface Schema {
  readonly type?: string
  readonly description?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: unknown
  readonly enum?: readonly string[]
  readonly minimum?: number
  readonly maximum?: number
}

const schema: Schema = JSON.parse(readFileSync(`${CHART}/values.schema.json`, 'utf8'))
const values: unknown = parse(readFileSync(`${CHART}/values.yaml`, 'utf8'))

/** What has no more values below it that the schema knows, by its path. */
function leavesOf({ properties }: Schema, path: readonly string[] = []): readonly (readonly [string, Schema])[] {
  return Object.entries(properties ?? {}).flatMap(([name, one]) =>
    one.properties && one.description === undefined
      ? leavesOf(one, [...path, name])
      : [[[...path, name].join('.'), one] as const],
  )
}

function defaultOf(path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], values)
}

function typeOf({ type, enum: words, minimum, maximum }: Schema): string {
  if (words) return words.map((word) => `\`${word}\``).join(', ')
  if (type === 'integer') return `whole number from ${minimum} to ${maximum}`
  return { string: 'text', boolean: '`true` or `false`', array: 'list', object: 'mapping' }[type ?? ''] ?? `${type}`
}

function rowOf([path, one]: readonly [string, Schema]): string {
  const value = defaultOf(path)
  const shown = JSON.stringify(value)
  const wordOfDefault = shown.length > 60 ? '[values.yaml](values.yaml)' : `\`${shown}\``
  return `| \`${path}\` | ${typeOf(one)} | ${wordOfDefault} | ${one.description} |`
}

test('VALUES.md is the schema and the defaults: run this test with --update after a change', async () => {
  const rows = leavesOf(schema).filter(([path]) => path !== 'global')
  const text = [
    '# Values of the chart',
    '',
    'Made from [values.schema.json](values.schema.json) and [values.yaml](values.yaml), by a test.',
    '',
    '| value | type | default | what it does |',
    '| --- | --- | --- | --- |',
    ...rows.map(rowOf),
    '',
  ]
  await expect(text.join('\n')).toMatchFileSnapshot(`${CHART}/VALUES.md`)
})

test('every value has a default, and the schema knows each of them', () => {
  const leaves = leavesOf(schema).map(([path]) => path)
  expect(leaves.filter((path) => path !== 'global' && defaultOf(path) === undefined)).toEqual([])
  expect(unknownIn(values, schema)).toEqual([])
})

function unknownIn(value: unknown, { properties }: Schema, path = ''): readonly string[] {
  if (!properties || typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, one]) => {
    const known = properties[name]
    return known ? unknownIn(one, known, `${path}${name}.`) : [`${path}${name}`]
  })
}

test('every mapping says what it takes: unknown names are refused, or every name is meant', () => {
  const open = mappingsOf(schema).filter(([, one]) => one.properties && one.additionalProperties !== false)
  expect(open.map(([path]) => path)).toEqual([])
})

function mappingsOf(one: Schema, path = ''): readonly (readonly [string, Schema])[] {
  return [
    [path, one],
    ...Object.entries(one.properties ?? {}).flatMap(([name, below]) => mappingsOf(below, `${path}/${name}`)),
  ]
}

const GATEWAY = { enabled: true, tlsSecretName: 'gateway-tls' }
const REFUSED: readonly (readonly [string, object, string])[] = [
  ['a name that nothing has', { gatewy: {} }, "additional properties 'gatewy' not allowed"],
  [
    'one deep inside',
    { gateway: { autoscaling: { cpu: 70 } } },
    "at '/gateway/autoscaling': additional properties 'cpu' not",
  ],
  ['no replica', { gateway: { replicas: 0 } }, "at '/gateway/replicas': minimum: got 0, want 1"],
  ['a number in quotes', { gateway: { replicas: '2' } }, "at '/gateway/replicas': got string, want integer"],
  ['a tag that is no text', { image: { tag: 1.1 } }, "at '/image/tag': got number, want string"],
  ['a short digest', { image: { digest: 'sha256:abc' } }, "at '/image/digest': 'sha256:abc' does not match pattern"],
  ['a policy in lower case', { image: { pullPolicy: 'always' } }, "one of 'Always', 'IfNotPresent', 'Never'"],
  [
    'an amount of nothing',
    { sidecar: { resources: { limits: { memory: '96 MB' } } } },
    "'/sidecar/resources/limits/memory'",
  ],
  ['a version of the API that is gone', { injection: { apiVersion: 'v1alpha1' } }, "must be one of 'v1', 'v1beta1'"],
  ['a prefix with a slash', { injection: { prefix: 'a/b' } }, "at '/injection/prefix': 'a/b' does not match"],
  [
    'a gateway without TLS',
    { gateway: { enabled: true } },
    'gateway.tlsSecretName: name a secret of type kubernetes.io/tls',
  ],
  [
    'nobody as clients, which would be everybody',
    { gateway: { ...GATEWAY, networkPolicy: { clients: [] } } },
    "at '/gateway/networkPolicy/clients': minItems: got 0, want 1",
  ],
  [
    'a label that selects',
    { gateway: { ...GATEWAY, podLabels: { 'app.kubernetes.io/name': 'mine' } } },
    "invalid propertyName 'app.kubernetes.io/name'",
  ],
  [
    'two things that scale',
    { gateway: { ...GATEWAY, autoscaling: { enabled: true, minReplicas: 9, maxReplicas: 2 } } },
    'gateway.autoscaling: minReplicas is more than maxReplicas',
  ],
  [
    'an end before the start of the end',
    { gateway: { ...GATEWAY, preStopSeconds: 60 } },
    'gateway.preStopSeconds leaves nothing of terminationGracePeriodSeconds',
  ],
]

test.skipIf(!hasKubernetesTools()).each(REFUSED)('refuses %s, and says where', (_, wrong, words) => {
  const { status, stderr } = helm(['template', 'demo', CHART], wrong as Record<string, unknown>)
  expect(stderr).toContain(words)
  expect(status).not.toBe(0)
})

describe.skipIf(!hasKubernetesTools())('the notes after an installation', () => {
  const notesOf = (set: object) =>
    helm(['install', 'demo', CHART, '--dry-run=client', '--namespace', 'shop'], set as Record<string, unknown>).stdout

  test.each([
    ['nothing', {}, ['Nothing was installed.']],
    [
      'a gateway',
      { gateway: GATEWAY },
      [
        'https://demo-sallyport-gateway.shop.svc:15001',
        'Nothing may leave through it yet',
        'Pods may still go past it',
      ],
    ],
    ['injection', { injection: { enabled: true } }, ['sallyport/injection=enabled', 'sallyport/inject: "true"']],
    ['settings', { sidecar: { settings: { create: true } } }, ['ConfigMap sallyport-settings is in shop']],
  ])('say of %s what is left to do', (_, set, words) => {
    const notes = notesOf(set)
    for (const word of words) expect(notes).toContain(word)
  })
})

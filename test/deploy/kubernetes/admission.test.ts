import { expect, test } from 'vitest'
import { type MutatingSpec, mutated, type Resource, refusals } from '../../support/admission/policy.ts'

const POD: Resource = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'shop', labels: { app: 'shop' } },
  spec: { containers: [{ name: 'app', image: 'app:1', env: [{ name: 'A', value: '1' }] }] },
}

function applying(expression: string, more: Partial<MutatingSpec> = {}): MutatingSpec {
  const mutations = [{ patchType: 'ApplyConfiguration', applyConfiguration: { expression } }]
  return { matchConstraints: {}, mutations, ...more }
}

function patching(expression: string): MutatingSpec {
  return { matchConstraints: {}, mutations: [{ patchType: 'JSONPatch', jsonPatch: { expression } }] }
}

function containerWith(fields: string): string {
  return `Object{spec: Object.spec{containers: [Object.spec.containers{name: "app", ${fields}}]}}`
}

test('an apply configuration is merged by keys: what is there keeps its place, what is new comes last', () => {
  const env = (name: string) => `Object.spec.containers.env{name: "${name}", value: "2"}`
  const after = mutated(applying(containerWith(`env: [${env('B')}, ${env('A')}]`)), POD)
  expect(after['spec']).toEqual({
    containers: [
      {
        name: 'app',
        image: 'app:1',
        env: [
          { name: 'A', value: '2' },
          { name: 'B', value: '2' },
        ],
      },
    ],
  })
})

test('a container of another name is another container', () => {
  const after = mutated(applying('Object{spec: Object.spec{containers: [Object.spec.containers{name: "b"}]}}'), POD)
  expect(after['spec']).toMatchObject({ containers: [{ name: 'app' }, { name: 'b' }] })
})

test.each([
  ['an atomic list', containerWith('args: ["serve"]'), 'may not mutate atomic V1Container.args'],
  [
    'an atomic structure',
    containerWith(
      'env: [Object.spec.containers.env{name: "K", valueFrom: Object.spec.containers.env.valueFrom{secretKeyRef: Object.spec.containers.env.valueFrom.secretKeyRef{name: "s", key: "k"}}}]',
    ),
    'may not mutate atomic V1EnvVarSource.secretKeyRef',
  ],
  ['a field that nothing has', containerWith('arg: "serve"'), 'Object.spec.containers has no field arg'],
  ['a type that nothing has', 'Object{spec: Object.specs{}}', 'Object.specs is no type of a pod'],
  [
    'a type in the place of another',
    'Object{spec: Object.spec{containers: [Object.spec.initContainers{name: "app"}]}}',
    'unexpected type name Object.spec.initContainers, expected Object.spec.containers',
  ],
  ['two of one key', 'Object{spec: Object.spec{volumes: ["a", "a"].map(v, Object.spec.volumes{name: v})}}', 'same key'],
  ['a list of several types', containerWith('args: ["serve", 1]'), 'a list of more than one type'],
  ['a field that is not there', containerWith('image: object.spec.nodeName'), 'field not found'],
  ['a variable that is not there', containerWith('image: variables.image'), 'image'],
  ['what is no object', '{"spec": {}}', 'an Object is expected'],
])('an apply configuration with %s is refused', (_, expression, words) => {
  expect(() => mutated(applying(expression), POD)).toThrow(words)
})

test.each([
  [
    'a parent that is missing',
    '[JSONPatch{op: "add", path: "/spec/volumes/-", value: "x"}]',
    'there is no volumes on the way',
  ],
  [
    'a place beyond the end',
    '[JSONPatch{op: "add", path: "/spec/containers/2", value: "x"}]',
    'no such place in the list',
  ],
  ['another operation', '[JSONPatch{op: "move", path: "/spec/containers", value: "x"}]', 'no operation of ours: move'],
  ['a mapping for an operation', '[{"op": "add"}]', 'a list of JSONPatch is expected'],
  [
    'a type that belongs elsewhere',
    '[JSONPatch{op: "add", path: "/spec/containers/0", value: Object.spec.volumes{name: "v"}}]',
    'unexpected type name Object.spec.volumes, expected Object.spec.containers',
  ],
])('a JSON patch with %s is refused', (_, expression, words) => {
  expect(() => mutated(patching(expression), POD)).toThrow(words)
})

test('a JSON patch puts things where it says, and escapes in its path are undone', () => {
  const expression = `[
    JSONPatch{op: "add", path: "/spec/containers/0", value: Object.spec.containers{name: "first"}},
    JSONPatch{op: "add", path: "/spec/containers/-", value: Object.spec.containers{name: "last"}},
    JSONPatch{op: "add", path: "/metadata/labels/example.com~1x", value: "y"}
  ]`
  expect(mutated(patching(expression), POD)).toMatchObject({
    metadata: { labels: { app: 'shop', 'example.com/x': 'y' } },
    spec: { containers: [{ name: 'first' }, { name: 'app' }, { name: 'last' }] },
  })
  expect(POD['spec']).toMatchObject({ containers: [{ name: 'app' }] })
})

test('a variable may hold no object of a message type, as in an API server', () => {
  const variables = [{ name: 'c', expression: 'Object.spec.containers{name: "app"}' }]
  const spec = applying('Object{spec: Object.spec{containers: [variables.c]}}', { variables })
  expect(() => mutated(spec, POD)).toThrow('a variable has no message types')
})

test('a policy that does not match changes nothing and refuses nothing', () => {
  const elsewhere = { matchConstraints: { objectSelector: { matchLabels: { app: 'other' } } } }
  expect(mutated({ ...elsewhere, mutations: [{ patchType: 'none' }] }, POD)).toBe(POD)
  expect(refusals({ ...elsewhere, validations: [{ expression: 'false', message: 'no' }] }, POD)).toEqual([])
  expect(refusals({ matchConstraints: {}, validations: [{ expression: 'false', message: 'no' }] }, POD)).toEqual(['no'])
})

import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type MutatingSpec,
  mutated,
  type Resource,
  refusals,
  type ValidatingSpec,
} from '../../support/admission/policy.ts'
import { only, render } from '../../support/helm.ts'
import type { Container, PodSpec } from '../../support/kubernetes-pod.ts'
import { faultsOfAll, type Manifest } from '../../support/kubernetes-strict.ts'
import { hasKubernetesTools } from '../../support/kubernetes-tools.ts'

/** Names that are ours as well, so that they meet. */
const variable = fc.record({
  name: fc.constantFrom('HTTP_PROXY', 'NO_PROXY', 'SALLYPORT_KEY', 'A', 'B'),
  value: fc.string(),
})
const mount = fc.record({ name: fc.constant('data'), mountPath: fc.constantFrom('/run/sallyport', '/data', '/tmp') })

function containers(prefix: string, constraints: { readonly minLength: number; readonly maxLength: number }) {
  const one = fc.record(
    {
      image: fc.constant('app:1'),
      env: fc.uniqueArray(variable, { selector: ({ name }) => name }),
      volumeMounts: fc.uniqueArray(mount, { selector: ({ mountPath }) => mountPath }),
    },
    { requiredKeys: ['image'] },
  )
  return fc
    .array(one, constraints)
    .map((list) => list.map((container, index) => ({ name: `${prefix}${index}`, ...container })))
}

const spec = fc.record(
  {
    containers: containers('app', { minLength: 1, maxLength: 5 }),
    initContainers: containers('init', { minLength: 0, maxLength: 4 }),
    volumes: fc.constant([{ name: 'data', emptyDir: {} }]),
    restartPolicy: fc.constant('Never'),
  },
  { requiredKeys: ['containers', 'volumes'] },
)

/** What a pod says itself, without what is ours in it. */
function own(before: readonly Container[], after: readonly Container[]): readonly Container[] {
  return after.map((one, index) => {
    const { env, volumeMounts } = before[index] ?? { env: [], volumeMounts: [] }
    const named = new Set((env ?? []).map(({ name }) => name))
    const mounted = new Set((volumeMounts ?? []).map(({ mountPath }) => mountPath))
    return {
      ...one,
      ...(one.env && { env: one.env.filter(({ name }) => named.has(name)) }),
      ...(one.volumeMounts && { volumeMounts: one.volumeMounts.filter(({ mountPath }) => mounted.has(mountPath)) }),
    }
  })
}

/** A list that is not there and one that is empty are the same to a pod. */
function withLists(list: readonly Container[]): readonly Container[] {
  return list.map(({ env = [], volumeMounts = [], ...rest }) => ({ ...rest, env, volumeMounts }))
}

describe.skipIf(!hasKubernetesTools())('whatever a pod has', () => {
  test('it keeps, it is what an API server takes, and a second time changes nothing', () => {
    const manifests = render({ injection: { enabled: true } })
    const policy = only(manifests, 'MutatingAdmissionPolicy')['spec'] as MutatingSpec
    const guard = only(manifests, 'ValidatingAdmissionPolicy')['spec'] as ValidatingSpec
    fc.assert(
      fc.property(spec, (before) => {
        const metadata = { name: 'any', labels: { 'sallyport/inject': 'true' } }
        const pod = { apiVersion: 'v1', kind: 'Pod', metadata, spec: before } as unknown as Resource
        const after = mutated(policy, pod)
        expect(faultsOfAll([after as Manifest])).toEqual([])
        expect(refusals(guard, after)).toEqual([])
        expect(mutated(policy, after)).toEqual(after)

        const { initContainers = [], containers: apps } = after['spec'] as unknown as PodSpec
        expect(withLists(own(before.containers, apps))).toEqual(withLists(before.containers))
        const others = initContainers.slice(1)
        expect(withLists(own(before.initContainers ?? [], others))).toEqual(withLists(before.initContainers ?? []))
        for (const { env = [] } of [...apps, ...others])
          expect(env.map(({ name }) => name)).toEqual(
            expect.arrayContaining(['SALLYPORT_KEY', 'HTTPS_PROXY', 'NO_PROXY']),
          )
      }),
      { numRuns: 20 },
    )
  })
})

import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { HostTable } from '../../src/core/host-table.ts'
import { ciliumPolicies } from '../../src/egress/cilium.ts'
import { egressOf, withAddresses } from '../../src/egress/egress.ts'
import { type Manifest, readManifests } from '../support/kubernetes-strict.ts'
import { PODS, settingsOf, WHOLE } from './settings.ts'

const BESIDES = { also: [], store: { host: 'db.data.svc', port: 5432 } }

interface Selector {
  readonly matchName?: string
  readonly matchPattern?: string
}

interface Rule {
  readonly toFQDNs?: readonly Selector[]
  readonly toPorts?: readonly {
    readonly ports: readonly { readonly port: string; readonly protocol: string }[]
    readonly rules?: { readonly dns: readonly Selector[] }
  }[]
  readonly [member: string]: unknown
}

async function exported(pods: Partial<typeof PODS> = {}, text = WHOLE): Promise<readonly Manifest[]> {
  const settings = await settingsOf(text)
  return readManifests(ciliumPolicies(settings, egressOf(settings, BESIDES), { ...PODS, ...pods }))
}

function egressIn(manifest: Manifest | undefined): readonly Rule[] {
  if (!manifest) throw new Error('there is no such policy')
  return (manifest['spec'] as { readonly egress: readonly Rule[] }).egress
}

/** What a custom resource of cilium.io/v2 takes; the members that select peers exclude each other. */
const PEERS = ['toEndpoints', 'toFQDNs', 'toCIDR', 'toEntities', 'fromEndpoints', 'fromEntities']
const NAME = /^([-a-zA-Z0-9_]+[.]?)+$/
const PATTERN = /^([-a-zA-Z0-9_*]+[.]?)+$/

test.each(['gateway', 'sidecar'] as const)('policies of a %s have the shape that the CRD wants', async (shape) => {
  for (const { apiVersion, kind, spec } of await exported({ shape })) {
    expect([apiVersion, kind]).toEqual(['cilium.io/v2', 'CiliumNetworkPolicy'])
    const { egress = [], ingress = [], ...rest } = spec as Record<string, readonly Rule[]>
    expect(Object.keys(rest)).toEqual(['endpointSelector'])
    for (const { toPorts = [], ...peers } of [...egress, ...ingress]) {
      expect(Object.keys(peers)).toHaveLength(1)
      expect(PEERS).toContain(Object.keys(peers)[0])
      for (const { ports, rules } of toPorts) {
        for (const { port, protocol } of ports) {
          expect(port).toMatch(/^[1-9][0-9]*$/)
          expect(['TCP', 'ANY']).toContain(protocol)
        }
        for (const selector of [...(rules?.dns ?? []), ...(peers.toFQDNs ?? [])]) {
          const { matchName, matchPattern, ...others } = selector
          expect(others).toEqual({})
          if (matchName !== undefined) expect(matchName).toMatch(NAME)
          else expect(matchPattern).toMatch(PATTERN)
        }
      }
    }
  }
})

test('names are reached at their ports, and may be asked for', async () => {
  const [, own] = await exported()
  const rules = egressIn(own)
  const byPort = rules
    .filter(({ toFQDNs }) => toFQDNs)
    .map(({ toFQDNs, toPorts }) => [toPorts?.[0]?.ports[0]?.port, toFQDNs])
  expect(Object.fromEntries(byPort)).toEqual({
    443: [{ matchName: 'api.crm.test' }, { matchName: 'login.crm.test' }],
    4318: [{ matchName: 'collector.test' }],
    8443: [{ matchPattern: '**.files.test' }],
  })
  const asked = rules.flatMap(({ toPorts = [] }) => toPorts.flatMap(({ rules: one }) => one?.dns ?? []))
  expect(asked.map(({ matchName, matchPattern }) => matchName ?? matchPattern ?? '').toSorted()).toEqual([
    '**.files.test',
    'api.crm.test',
    'collector.test',
    'db.data.svc',
    'kubernetes.default.svc.cluster.local',
    'login.crm.test',
  ])
})

test('what has no name to Cilium is reached as what it is', async () => {
  const [, own] = await exported()
  expect(egressIn(own)).toMatchObject(
    expect.arrayContaining([
      expect.objectContaining({ toEntities: ['kube-apiserver'] }),
      expect.objectContaining({ toEndpoints: [{ matchLabels: { 'k8s:io.kubernetes.pod.namespace': 'data' } }] }),
      expect.objectContaining({ toCIDR: ['10.20.0.7/32'] }),
    ]),
  )
})

test('a host elsewhere that is named like the API server, or a service, is a host elsewhere', async () => {
  const hosts = ['kubernetes.default.svc.example.com', 'db.data.svc.example.com']
  const settings = await settingsOf(`
listeners: [ { kind: forward, listen: 127.0.0.1:15001 } ]
allowlist: [ ${hosts.join(', ')} ]
connections: { db: { hosts: [ ${hosts.join(', ')} ], credential: { kind: none } } }
`)
  const text = ciliumPolicies(settings, egressOf(settings, { also: [] }), { ...PODS, shape: 'sidecar' })
  const [, ...rules] = egressIn(readManifests(text)[0])
  expect(rules).toEqual([
    {
      toFQDNs: expect.arrayContaining(hosts.map((matchName) => ({ matchName }))),
      toPorts: [{ ports: [{ port: '443', protocol: 'TCP' }] }],
    },
  ])
})

test('apps ask for names of the namespace of the gateway alone: no name is a way out', async () => {
  const [apps] = await exported({ namespace: 'sally', appsNamespace: 'shop' })
  expect(egressIn(apps).flatMap(({ toPorts = [] }) => toPorts.flatMap(({ rules }) => rules?.dns ?? []))).toEqual([
    { matchPattern: '*.sally.svc.cluster.local' },
  ])
  expect(egressIn(apps)).toHaveLength(2)
})

test('settings that lead nowhere give a policy that lets nothing out', async () => {
  const settings = await settingsOf('listeners: [ { kind: forward, listen: 127.0.0.1:15001 } ]')
  const text = ciliumPolicies(settings, egressOf(settings, { also: [] }), { ...PODS, shape: 'sidecar' })
  // An empty list would mean: egress is not restricted.
  expect(egressIn(readManifests(text)[0])).toEqual([{}])
})

test('names may be asked for also where their addresses of today are pinned', async () => {
  const settings = await settingsOf(WHOLE)
  const now = withAddresses(egressOf(settings, BESIDES), new Map([['collector.test', ['44.0.0.2']]]))
  const [, own] = readManifests(ciliumPolicies(settings, now, PODS))
  expect(egressIn(own)).toMatchObject(expect.arrayContaining([expect.objectContaining({ toCIDR: ['44.0.0.2/32'] })]))
  expect(JSON.stringify(egressIn(own)[0])).toContain('collector.test')
})

/** @see https://github.com/cilium/cilium/blob/main/pkg/fqdn/matchpattern/matchpattern.go */
function ciliumFinds(pattern: string, name: string, hasDepth: boolean): boolean {
  const label = '[-a-zA-Z0-9_]'
  const isDeep = hasDepth && pattern.startsWith('**.')
  const rest = (isDeep ? pattern.slice(3) : pattern).replaceAll('.', '[.]').replaceAll('*', `${label}*`)
  return new RegExp(`^${isDeep ? `${label}+([.]${label}+)*[.]` : ''}${rest}$`).test(name)
}

const LABELS = fc.array(fc.constantFrom('a', 'b-1', '_tcp', 'files', 'test'), { minLength: 0, maxLength: 4 })

test.each([true, false])(
  'a pattern is never wider to Cilium than to the allowlist (any depth: %s)',
  async (hasDepth) => {
    const [, own] = await exported()
    const pattern =
      egressIn(own).flatMap(({ toFQDNs = [] }) => toFQDNs.flatMap(({ matchPattern }) => matchPattern ?? []))[0] ?? ''
    const allowlist = new HostTable([['*.files.test', true]])
    fc.assert(
      fc.property(LABELS, (labels) => {
        const name = [...labels, 'files', 'test'].join('.')
        const [ours, theirs] = [allowlist.find(name) === true, ciliumFinds(pattern, name, hasDepth)]
        if (hasDepth) expect([name, theirs]).toEqual([name, ours])
        else expect([name, theirs && !ours]).toEqual([name, false])
      }),
    )
    expect(ciliumFinds(pattern, 'evilfiles.test', hasDepth)).toBe(false)
    expect(ciliumFinds(pattern, 'a.files.test', hasDepth)).toBe(true)
  },
)

import { beforeAll, describe, expect, test } from 'vitest'
import { egressOf, withAddresses } from '../../src/egress/egress.ts'
import { networkPolicies } from '../../src/egress/networkpolicy.ts'
import { classify } from '../../src/wire/address.ts'
import { faultsOfAll, type Manifest, readManifests } from '../support/kubernetes-strict.ts'
import { PODS, settingsOf, WHOLE } from './settings.ts'

const BESIDES = { also: [], store: { host: 'db.data.svc', port: 5432 } }

async function exported(pods: Partial<typeof PODS> = {}, text = WHOLE): Promise<string> {
  const settings = await settingsOf(text)
  return networkPolicies(settings, egressOf(settings, BESIDES), { ...PODS, ...pods })
}

interface Rule {
  readonly to?: readonly { readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] } }[]
  readonly ports: readonly { readonly port: number; readonly protocol: string }[]
}

function rulesOf({ spec }: Manifest, direction: 'egress' | 'ingress' = 'egress'): readonly Rule[] {
  return (spec as Record<string, readonly Rule[]>)[direction] ?? [] // checked against the types
}

/** Where a port leads to: ranges, and how many are left out of each. */
function reach(manifest: Manifest, port: number): readonly string[] {
  const rules = rulesOf(manifest).filter(({ ports }) => ports.some((one) => one.port === port))
  return rules.flatMap(({ to = [] }) =>
    to.map((peer) =>
      peer.ipBlock ? `${peer.ipBlock.cidr} but ${peer.ipBlock.except?.length ?? 0}` : JSON.stringify(peer),
    ),
  )
}

const PUBLIC = ['0.0.0.0/0 but 16', '2000::/3 but 4', '64:ff9b::/96 but 16']

describe('a gateway', () => {
  let text: string
  let apps: Manifest
  let own: Manifest

  beforeAll(async () => {
    text = await exported()
    const [first, second] = readManifests(text)
    if (!first || !second) throw new Error('two policies')
    ;[apps, own] = [first, second]
  })

  test('has policies that an API server takes', () => {
    expect(faultsOfAll(readManifests(text))).toEqual([])
  })

  test('is where apps may go, and to DNS, and nowhere else', () => {
    expect(apps.metadata.name).toBe('sallyport-apps')
    expect(rulesOf(apps)).toMatchObject([
      {
        to: [{ podSelector: { matchLabels: { 'k8s-app': 'kube-dns' } } }],
        ports: [
          { protocol: 'UDP', port: 53 },
          { protocol: 'TCP', port: 53 },
        ],
      },
      { to: [{ podSelector: { matchLabels: { 'app.kubernetes.io/name': 'sallyport' } } }], ports: [{ port: 15_443 }] },
    ])
    expect(rulesOf(apps)).toHaveLength(2)
  })

  test('lets apps in by its doors, anybody to its probes, and nobody to a door of its own pod', () => {
    const rules = rulesOf(own, 'ingress')
    expect(rules.map(({ ports }) => ports.map(({ port }) => port))).toEqual([[15_443], [15_091]])
    expect(rules[0]).toMatchObject({ from: [{ podSelector: { matchLabels: { app: 'shop' } } }] })
  })

  test('goes where its settings lead: to public addresses, to what is pinned, and to what is allowed', () => {
    expect(reach(own, 443).toSorted()).toEqual([...PUBLIC, '10.20.0.7/32 but 0', '10.96.0.0/12 but 0'].toSorted())
    expect(reach(own, 4318)).toEqual(PUBLIC)
    expect(reach(own, 8443)).toEqual(PUBLIC)
    expect(reach(own, 80)).toEqual([])
  })

  test('says of each port what it is for', () => {
    expect(text).toContain('# api.crm.test:443: connection crm\n')
    expect(text).toContain('# login.crm.test:443: token endpoint of crm, issuer of files\n')
    expect(text).toContain('# *.files.test:8443: connection files\n')
  })

  test('reaches a service of the cluster as its pods, and the API server behind its service as well', () => {
    const namespace = { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'data' } } }
    expect(reach(own, 5432)).toEqual([JSON.stringify(namespace)])
    expect(reach(own, 6443)).toEqual(['10.96.0.0/12 but 0'])
  })

  test('leaves out of the public ranges what the address check refuses', () => {
    const excepted = rulesOf(own).flatMap(({ to = [] }) => to.flatMap(({ ipBlock }) => ipBlock?.except ?? []))
    expect(excepted).toContain('169.254.0.0/16')
    for (const range of excepted) expect(classify(range.split('/')[0] ?? '')).not.toBe('public')
  })
})

test('with a namespace of its own, each side is named by its namespace too', async () => {
  const [apps, own] = readManifests(await exported({ namespace: 'sally', appsNamespace: 'shop' }))
  expect([apps?.metadata.namespace, own?.metadata.namespace]).toEqual(['shop', 'sally'])
  const selector = (name: string) => ({ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': name } } })
  expect(apps && rulesOf(apps)[1]).toMatchObject({ to: [selector('sally')] })
  expect(own && rulesOf(own, 'ingress')[0]).toMatchObject({ from: [selector('shop')] })
})

test('without a label, the apps are all pods of their namespace but those of the gateway', async () => {
  const [apps, own] = readManifests(await exported({ apps: undefined }))
  const others = { matchExpressions: [{ key: 'app.kubernetes.io/name', operator: 'NotIn', values: ['sallyport'] }] }
  expect(apps).toMatchObject({ spec: { podSelector: others } })
  expect(own && rulesOf(own, 'ingress')[0]).toMatchObject({ from: [{ podSelector: others }] })
  const [elsewhere] = readManifests(await exported({ apps: undefined, namespace: 'sally', appsNamespace: 'shop' }))
  expect(elsewhere).toMatchObject({ spec: { podSelector: {} } })
  expect(faultsOfAll(readManifests(await exported({ apps: undefined })))).toEqual([])
})

test('a store whose address nobody knows has its port open to every address, and that is said', async () => {
  const settings = await settingsOf(WHOLE)
  const egress = egressOf(settings, { also: [], store: { host: 'db.test', port: 5432 } })
  const text = networkPolicies(settings, egress, PODS)
  const [, own] = readManifests(text)
  expect(own && reach(own, 5432)).toEqual(['0.0.0.0/0 but 0', '::/0 but 0'])
  expect(text).toContain('# db.test may be at any address, so port 5432 is open to all of them')
})

test('a gateway without a door for others is refused: its apps would be cut off', async () => {
  const text = 'listeners: [ { kind: forward, listen: 127.0.0.1:15001 } ]'
  await expect(exported({}, text)).rejects.toThrow('--shape sidecar')
})

test('a sidecar has one policy, which says what it cannot do and leaves alone who comes in to the app', async () => {
  const text = await exported({ shape: 'sidecar' })
  const manifests = readManifests(text)
  expect(faultsOfAll(manifests)).toEqual([])
  expect(manifests).toMatchObject([
    { spec: { policyTypes: ['Egress'], podSelector: { matchLabels: { app: 'shop' } } } },
  ])
  expect(text).toContain('can NOT force the app through')
})

test('settings that lead nowhere give a policy that lets nothing out', async () => {
  const settings = await settingsOf('listeners: [ { kind: forward, listen: 127.0.0.1:15001 } ]')
  const text = networkPolicies(settings, egressOf(settings, { also: [] }), { ...PODS, shape: 'sidecar' })
  expect(readManifests(text)).toMatchObject([{ spec: { policyTypes: ['Egress'], egress: [] } }])
})

test('today’s addresses stand in place of the ranges, with a warning; of a pattern nobody knows them', async () => {
  const settings = await settingsOf(WHOLE)
  const found = ['api.crm.test', 'login.crm.test', 'collector.test'].map(
    (name) => [name, ['44.0.0.2', '2600:1::2']] as const,
  )
  const text = networkPolicies(settings, withAddresses(egressOf(settings, BESIDES), new Map(found)), PODS)
  const [, own] = readManifests(text)
  expect(own && reach(own, 4318)).toEqual(['44.0.0.2/32 but 0', '2600:1::2/128 but 0'])
  expect(own && reach(own, 8443)).toEqual(PUBLIC)
  expect(text).toContain('# WARNING: addresses are those of the moment of export')
})

test('name servers of the settings are those of Sallyport; apps ask the cluster', async () => {
  const settings = await settingsOf(
    `${WHOLE}\nlog: { level: info }`.replace('dns: {', 'dns: { servers: [ 10.0.0.2, "10.0.0.3:5353" ],'),
  )
  const [apps, own] = readManifests(networkPolicies(settings, egressOf(settings, BESIDES), PODS))
  expect(own && reach(own, 53)).toEqual(['10.0.0.2/32 but 0'])
  expect(own && reach(own, 5353)).toEqual(['10.0.0.3/32 but 0'])
  expect(JSON.stringify(apps?.['spec'])).toContain('kube-dns')
})

test('a label that YAML 1.1 takes for a truth value stays a text', async () => {
  const text = await exported({ apps: { key: 'y', value: 'on' } })
  expect(faultsOfAll(readManifests(text))).toEqual([])
})

const ALIKE = 'db.kube-system.svc.example.com'

test('a host elsewhere that is named like a service opens no namespace of the cluster', async () => {
  const text = `
listeners: [ { kind: forward, listen: 127.0.0.1:15001 } ]
allowlist: [ ${ALIKE} ]
connections: { db: { hosts: [ ${ALIKE} ], port: 8443, credential: { kind: none } } }
`
  const sidecar = (clusterDomain: string) => exported({ shape: 'sidecar', clusterDomain }, text).then(readManifests)
  const [elsewhere] = await sidecar('cluster.local')
  expect(elsewhere && reach(elsewhere, 8443)).toEqual(PUBLIC)
  const [within] = await sidecar('example.com')
  expect(within && reach(within, 8443)).toEqual([expect.stringContaining('"kube-system"')])
})

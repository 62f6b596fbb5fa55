import { expect, test } from 'vitest'
import { faultsOf, faultsOfAll, type Manifest, readManifests } from '../support/kubernetes-strict.ts'

const DEPLOYMENT = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: shop }
spec:
  selector: { matchLabels: { app: shop } }
  template:
    metadata: { labels: { app: shop } }
    spec:
      initContainers:
        - name: sidecar
          image: sidecar
          restartPolicy: Always
          ports: [{ name: health, containerPort: 15091 }]
          startupProbe: { httpGet: { path: /startupz, port: health } }
          lifecycle: { preStop: { sleep: { seconds: 5 } } }
      containers:
        - name: app
          image: app
          env: [{ name: HTTP_PROXY, value: "http://127.0.0.1:15001" }]
          resources: { requests: { cpu: 20m, memory: 96Mi }, limits: { memory: 192Mi } }
          volumeMounts: [{ name: secrets, mountPath: /etc/secrets }]
      volumes:
        - { name: secrets, secret: { secretName: secrets, defaultMode: 0440 } }
`

const faults = (text: string, custom?: readonly string[]) =>
  faultsOfAll(readManifests(text), custom === undefined ? {} : { custom })
/** The same deployment with one piece of text in another's place. */
const changed = (from: string, to: string) => {
  expect(DEPLOYMENT).toContain(from)
  return faults(DEPLOYMENT.replace(from, to))
}
const POD = 'Deployment/shop spec.template.spec'

test('has nothing against what an API server takes', () => {
  expect(faults(DEPLOYMENT)).toEqual([])
})

test.each([
  ['restartPolicy: Always', 'restartPolicey: Always', `${POD}.initContainers[0].restartPolicey: unknown field`],
  [
    'name: app\n',
    'name: app\n          readonlyRootFilesystem: true\n',
    `${POD}.containers[0].readonlyRootFilesystem: unknown field`,
  ],
  ['seconds: 5', 'seconds: "5"', `${POD}.initContainers[0].lifecycle.preStop.sleep.seconds: must be a number`],
  ['seconds: 5', 'seconds: 0.5', `${POD}.initContainers[0].lifecycle.preStop.sleep.seconds: must be a whole number`],
  ['seconds: 5', '', `${POD}.initContainers[0].lifecycle.preStop.sleep.seconds: is required`],
  [
    'containers:\n        - name: app',
    'containers:\n        - name: App',
    `${POD}.containers[0].name: is no RFC 1123 label: App`,
  ],
  [
    '[{ name: HTTP_PROXY, value: "http://127.0.0.1:15001" }]',
    '{ HTTP_PROXY: x }',
    `${POD}.containers[0].env: must be a list`,
  ],
  ['value: "http://127.0.0.1:15001"', 'value: yes', `${POD}.containers[0].env[0].value: must be a text`],
  ['value: "http://127.0.0.1:15001"', 'value: 15001', `${POD}.containers[0].env[0].value: must be a text`],
  [
    'cpu: 20m',
    'cpu: 20 millicores',
    `${POD}.containers[0].resources.requests["cpu"]: is no quantity such as 96Mi or 20m: "20 millicores"`,
  ],
  [
    'containerPort: 15091',
    'containerPort: 150910',
    `${POD}.initContainers[0].ports[0].containerPort: is no port: 150910`,
  ],
  ['0440', '4400', `${POD}.volumes[0].secret.defaultMode: is no file mode from 0 to 0777: 4400`],
  [
    'metadata: { name: shop }',
    'metadata: { name: The_Shop }',
    'Deployment/The_Shop metadata.name: is no RFC 1123 subdomain: The_Shop',
  ],
  [
    'app: shop } }\n    spec',
    'app: shop, tier: 1 } }\n    spec',
    'Deployment/shop spec.template.metadata.labels["tier"]: must be a text',
  ],
])('types: %s as %s', (from, to, fault) => {
  expect(changed(from, to)).toContain(fault)
})

test('words: a restart policy that there is not', () => {
  expect(changed('restartPolicy: Always', 'restartPolicy: always')).toEqual([
    `${POD}.initContainers[0].restartPolicy: use one of Always, OnFailure, Never (was "always")`,
  ])
})

test.each([
  ['port: health', 'port: admin', `${POD}.initContainers[0].startupProbe: no port is called admin`],
  ['restartPolicy: Always', 'tty: false', `${POD}.initContainers[0].startupProbe: only with restartPolicy: Always`],
  [
    'name: secrets, mountPath',
    'name: secret, mountPath',
    `${POD}.containers[0].volumeMounts: no volume is called secret`,
  ],
  ['- name: app', '- name: sidecar', `${POD}: two containers are called sidecar`],
  ['memory: 192Mi', 'memory: 64Mi', `${POD}.containers[0].resources.requests.memory: is more than its limit`],
  [
    'matchLabels: { app: shop }',
    'matchLabels: { app: store }',
    'Deployment/shop spec.selector.matchLabels["app"]: the template\'s labels do not match',
  ],
  ['image: app', 'tty: false', `${POD}.containers[0].image: is required`],
])('pods: %s as %s', (from, to, fault) => {
  expect(changed(from, to)).toContain(fault)
})

test.each([
  ['apiVersion: extensions/v1beta1\nkind: Deployment\nmetadata: { name: a }', 'extensions/v1beta1 Deployment'],
  ['apiVersion: apps/v1\nkind: Service\nmetadata: { name: a }', 'apps/v1 Service'],
  ['apiVersion: v1\nkind: Deployment\nmetadata: { name: a }', 'v1 Deployment'],
  ['apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: { name: a }', 'cert-manager.io/v1 Certificate'],
])('kinds: nobody has %s', (text, named) => {
  expect(faults(text)).toEqual([`${named.split(' ')[1]}/a apiVersion: no API server has ${named}`])
})

test('a custom resource is taken when it is named, its metadata looked at', () => {
  const text = 'apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: { name: a, labelz: {} }\nspec: { any: 1 }'
  expect(faults(text, ['cert-manager.io/v1 Certificate'])).toEqual(['Certificate/a metadata.labelz: unknown field'])
})

test('what lives in no namespace names none', () => {
  const text =
    'apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: { name: "a:b", namespace: c }\nrules: []'
  expect(faults(text)).toEqual(['ClusterRole/a:b metadata.namespace: it lives in no namespace'])
})

test('finds the pod of a CronJob', () => {
  const text = `{ apiVersion: batch/v1, kind: CronJob, metadata: { name: a }, spec: { schedule: "* * * * *", jobTemplate:
    { spec: { template: { spec: { restartPolicy: Never, containers: [ { name: a, image: a, volumeMounts: [ { name: b, mountPath: /b } ] } ] } } } } } }`
  expect(faults(text)).toEqual([
    'CronJob/a spec.jobTemplate.spec.template.spec.containers[0].volumeMounts: no volume is called b',
  ])
})

test('knows the admission policies of 1.36, and what the others say of network and RBAC', () => {
  const policy = (more: string) =>
    `{ apiVersion: admissionregistration.k8s.io/v1, kind: MutatingAdmissionPolicy, metadata: { name: a }, spec: { ${more} } }`
  expect(faults(policy('failurePolicy: Fail, mutations: [ { patchType: JSONPatch } ]'))).toEqual([])
  expect(faults(policy('failurePolicy: Open, mutations: [ { patchType: Json } ]'))).toHaveLength(2)
  const network = `{ apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: { name: a }, spec: { podSelector: {},
    policyTypes: [egress], egress: [ { to: [ { podSelector: {} } ], ports: [ { port: 70000, protocol: tcp } ] } ] } }`
  expect(faults(network)).toHaveLength(3)
})

test('two objects of one name are told', () => {
  expect(faults(`${DEPLOYMENT}---${DEPLOYMENT}`)).toEqual(['Deployment//shop: is there twice'])
})

test('a document that says a key twice is no manifest', () => {
  expect(() => readManifests('kind: A\nkind: B')).toThrow(/unique/)
  expect(() => readManifests('kind: A')).toThrow(/apiVersion, kind and metadata.name/)
})

test('null is no value', () => {
  const manifest = readManifests(DEPLOYMENT)[0] as Manifest
  expect(faultsOf({ ...manifest, spec: null })).toEqual(['Deployment/shop spec: must be a mapping'])
})

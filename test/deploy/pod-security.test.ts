import { expect, test } from 'vitest'
import type { Container, PodSpec } from '../support/kubernetes-pod.ts'
import { controlNames, podSecurityFaults } from '../support/pod-security.ts'

const CONTAINER: Container = {
  name: 'app',
  image: 'app',
  securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
}
const SPEC: PodSpec = {
  securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } },
  initContainers: [{ ...CONTAINER, name: 'sidecar', restartPolicy: 'Always' }],
  containers: [CONTAINER],
  volumes: [
    { name: 'settings', configMap: { name: 'settings' } },
    { name: 'token', projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } },
    { name: 'scratch', emptyDir: { medium: 'Memory' } },
    { name: 'csi', csi: { driver: 'secrets-store.csi.k8s.io', readOnly: true } },
  ],
}

test('has nothing against a restricted pod', () => {
  expect(podSecurityFaults(SPEC)).toEqual([])
})

const withContext = (securityContext: object): PodSpec => ({
  ...SPEC,
  containers: [{ ...CONTAINER, securityContext: { ...CONTAINER.securityContext, ...securityContext } }],
})
const withPodContext = (securityContext: object): PodSpec => ({
  ...SPEC,
  securityContext: { ...SPEC.securityContext, ...securityContext },
})
const withContainer = (more: Partial<Container>): PodSpec => ({ ...SPEC, containers: [{ ...CONTAINER, ...more }] })
const withVolume = (volume: object): PodSpec => ({ ...SPEC, volumes: [{ name: 'bad', ...volume }] })
const probe = { httpGet: { port: 80, host: '169.254.169.254' } }

const violations: readonly (readonly [string, string, PodSpec])[] = [
  ['host-process', 'containers[0]', withContext({ windowsOptions: { hostProcess: true } })],
  ['host-process', 'the pod', withPodContext({ windowsOptions: { hostProcess: true } })],
  ['host-namespaces', 'hostNetwork', { ...SPEC, hostNetwork: true }],
  ['host-namespaces', 'hostPID', { ...SPEC, hostPID: true }],
  ['host-namespaces', 'hostIPC', { ...SPEC, hostIPC: true }],
  ['privileged', 'containers[0]', withContext({ privileged: true })],
  [
    'added-capabilities',
    'containers[0] NET_ADMIN',
    withContext({ capabilities: { drop: ['ALL'], add: ['NET_ADMIN'] } }),
  ],
  ['host-path', 'volumes bad', withVolume({ hostPath: { path: '/' } })],
  ['host-ports', 'containers[0]', withContainer({ ports: [{ containerPort: 80, hostPort: 80 }] })],
  ['host-probes', 'containers[0]', withContainer({ livenessProbe: probe })],
  ['host-probes', 'containers[0]', withContainer({ lifecycle: { preStop: probe } })],
  ['apparmor', 'containers[0]', withContext({ appArmorProfile: { type: 'Unconfined' } })],
  ['apparmor', 'the pod', withPodContext({ appArmorProfile: { type: 'Unconfined' } })],
  ['selinux', 'containers[0]', withContext({ seLinuxOptions: { type: 'spc_t' } })],
  ['selinux', 'the pod', withPodContext({ seLinuxOptions: { user: 'system_u' } })],
  ['proc-mount', 'containers[0]', withContext({ procMount: 'Unmasked' })],
  ['seccomp-unconfined', 'containers[0]', withContext({ seccompProfile: { type: 'Unconfined' } })],
  ['sysctls', 'kernel.msgmax', withPodContext({ sysctls: [{ name: 'kernel.msgmax', value: '1' }] })],
  ['volume-types', 'volumes bad', withVolume({ nfs: { server: 'nfs', path: '/' } })],
  ['privilege-escalation', 'containers[0]', withContext({ allowPrivilegeEscalation: undefined })],
  ['run-as-non-root', 'containers[0]', withContext({ runAsNonRoot: false })],
  ['run-as-non-root', 'the pod', withPodContext({ runAsNonRoot: false })],
  ['run-as-user', 'containers[0]', withContext({ runAsUser: 0 })],
  ['run-as-user', 'the pod', withPodContext({ runAsUser: 0 })],
  ['seccomp', 'containers[0]', withPodContext({ seccompProfile: undefined })],
  ['dropped-capabilities', 'containers[0]', withContext({ capabilities: { drop: ['NET_RAW'] } })],
  ['restricted-capabilities', 'containers[0] CHOWN', withContext({ capabilities: { drop: ['ALL'], add: ['CHOWN'] } })],
]

test.each(violations)('%s: refuses %s', (control, place, spec) => {
  expect(podSecurityFaults(spec)).toContain(`${control}: ${place}`)
})

test('each control is tried', () => {
  expect(new Set(violations.map(([control]) => control))).toEqual(new Set(controlNames()))
})

test('looks at sidecars, too', () => {
  const sidecar: Container = { name: 'sidecar', image: 'sidecar', restartPolicy: 'Always' }
  expect(podSecurityFaults({ ...SPEC, initContainers: [sidecar] })).toEqual([
    'privilege-escalation: initContainers[0]',
    'dropped-capabilities: initContainers[0]',
  ])
})

test('the baseline lets more pass', () => {
  const spec = withContext({ capabilities: { add: ['CHOWN'] }, allowPrivilegeEscalation: true })
  expect(podSecurityFaults(spec, 'baseline')).toEqual([])
  expect(podSecurityFaults({ ...spec, hostPID: true }, 'baseline')).toEqual(['host-namespaces: hostPID'])
})

test('NET_BIND_SERVICE may be added', () => {
  expect(podSecurityFaults(withContext({ capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE'] } }))).toEqual([])
})

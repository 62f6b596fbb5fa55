import { type Container, containersOf, type PodSpec } from './kubernetes-pod.ts'

/** A control of the Pod Security Standards, and which of the two profiles has it. */
interface Control {
  readonly profile: 'baseline' | 'restricted'
  /** Places in the pod spec that violate it, in words. */
  violations(spec: PodSpec): readonly string[]
}

/**
 * What the Pod Security Standards of Kubernetes would refuse in this pod spec, for Linux, as `CONTROL: place`. The restricted
 * profile has the controls of the baseline, too.
 * @see https://kubernetes.io/docs/concepts/security/pod-security-standards/
 */
export function podSecurityFaults(spec: PodSpec, profile: 'baseline' | 'restricted' = 'restricted'): readonly string[] {
  return Object.entries(CONTROLS)
    .filter(([, control]) => profile === 'restricted' || control.profile === 'baseline')
    .flatMap(([name, control]) => control.violations(spec).map((place) => `${name}: ${place}`))
}

/** The names of all controls, for a test that tries each. */
export function controlNames(): readonly string[] {
  return Object.keys(CONTROLS)
}

const CONTROLS: Readonly<Record<string, Control>> = {
  'host-process': baseline((spec) => inContexts(spec, ({ windowsOptions }) => windowsOptions?.hostProcess === true)),
  'host-namespaces': baseline((spec) => (['hostNetwork', 'hostPID', 'hostIPC'] as const).filter((name) => spec[name])),
  privileged: baseline((spec) => inContainers(spec, ({ securityContext }) => securityContext?.privileged === true)),
  'added-capabilities': baseline((spec) => addedBeside(spec, BASELINE_CAPABILITIES)),
  'host-path': baseline((spec) =>
    (spec.volumes ?? []).filter(({ hostPath }) => hostPath).map(({ name }) => `volumes ${name}`),
  ),
  'host-ports': baseline((spec) =>
    inContainers(spec, ({ ports }) => (ports ?? []).some(({ hostPort = 0 }) => hostPort !== 0)),
  ),
  'host-probes': baseline((spec) => inContainers(spec, hasHost)),
  apparmor: baseline((spec) =>
    inContexts(spec, ({ appArmorProfile }) => !isProfile(appArmorProfile?.type ?? 'RuntimeDefault')),
  ),
  selinux: baseline((spec) => inContexts(spec, isForeignSelinux)),
  'proc-mount': baseline((spec) => inContainers(spec, ({ securityContext }) => isUnmasked(securityContext?.procMount))),
  'seccomp-unconfined': baseline((spec) =>
    inContexts(spec, ({ seccompProfile }) => !isProfile(seccompProfile?.type ?? 'RuntimeDefault')),
  ),
  sysctls: baseline((spec) =>
    (spec.securityContext?.sysctls ?? []).map(({ name }) => name).filter((name) => !SAFE_SYSCTLS.has(name)),
  ),
  'volume-types': restricted((spec) =>
    (spec.volumes ?? []).filter(isForeignVolume).map(({ name }) => `volumes ${name}`),
  ),
  'privilege-escalation': restricted((spec) =>
    inContainers(spec, ({ securityContext }) => securityContext?.allowPrivilegeEscalation !== false),
  ),
  'run-as-non-root': restricted((spec) => [
    ...(spec.securityContext?.runAsNonRoot === false ? ['the pod'] : []),
    ...inContainers(
      spec,
      ({ securityContext }) => (securityContext?.runAsNonRoot ?? spec.securityContext?.runAsNonRoot) !== true,
    ),
  ]),
  'run-as-user': restricted((spec) => inContexts(spec, ({ runAsUser }) => runAsUser === 0)),
  seccomp: restricted((spec) =>
    inContainers(
      spec,
      ({ securityContext }) =>
        !isProfile((securityContext?.seccompProfile ?? spec.securityContext?.seccompProfile)?.type),
    ),
  ),
  'dropped-capabilities': restricted((spec) =>
    inContainers(spec, ({ securityContext }) => !(securityContext?.capabilities?.drop ?? []).includes('ALL')),
  ),
  'restricted-capabilities': restricted((spec) => addedBeside(spec, RESTRICTED_CAPABILITIES)),
}

function baseline(violations: Control['violations']): Control {
  return { profile: 'baseline', violations }
}

function restricted(violations: Control['violations']): Control {
  return { profile: 'restricted', violations }
}

const named = (names: string): ReadonlySet<string> => new Set(names.split(/\s+/))

const BASELINE_CAPABILITIES =
  named(`AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE SETFCAP SETGID
  SETPCAP SETUID SYS_CHROOT`)
const RESTRICTED_CAPABILITIES = named('NET_BIND_SERVICE')
const SAFE_SYSCTLS = named(`kernel.shm_rmid_forced net.ipv4.ip_local_port_range net.ipv4.ip_unprivileged_port_start
  net.ipv4.tcp_syncookies net.ipv4.ping_group_range net.ipv4.ip_local_reserved_ports net.ipv4.tcp_keepalive_time
  net.ipv4.tcp_fin_timeout net.ipv4.tcp_keepalive_intvl net.ipv4.tcp_keepalive_probes net.ipv4.tcp_rmem net.ipv4.tcp_wmem`)
const SELINUX_TYPES = named('container_t container_init_t container_kvm_t container_engine_t')
const VOLUME_TYPES = named('configMap csi downwardAPI emptyDir ephemeral persistentVolumeClaim projected secret')

function isProfile(type: string | undefined): boolean {
  return type === 'RuntimeDefault' || type === 'Localhost'
}

/** What a pod and a container have in common of their security contexts. */
type Context = Pick<
  NonNullable<Container['securityContext']>,
  'appArmorProfile' | 'runAsUser' | 'seLinuxOptions' | 'seccompProfile' | 'windowsOptions'
>

function inContainers(spec: PodSpec, isWrong: (container: Container) => boolean): string[] {
  return containersOf(spec).flatMap(([place, container]) => (isWrong(container) ? [place] : []))
}

function inContexts(spec: PodSpec, isWrong: (context: Context) => boolean): string[] {
  const pod = isWrong(spec.securityContext ?? {}) ? ['the pod'] : []
  return [...pod, ...inContainers(spec, ({ securityContext }) => isWrong(securityContext ?? {}))]
}

function addedBeside(spec: PodSpec, allowed: ReadonlySet<string>): string[] {
  return containersOf(spec).flatMap(([place, { securityContext }]) =>
    (securityContext?.capabilities?.add ?? []).filter((name) => !allowed.has(name)).map((name) => `${place} ${name}`),
  )
}

/** A probe or hook of another host is asked by the kubelet, from its place in the network. */
function hasHost({ livenessProbe, readinessProbe, startupProbe, lifecycle }: Container): boolean {
  const handlers = [livenessProbe, readinessProbe, startupProbe, lifecycle?.postStart, lifecycle?.preStop]
  return handlers.some((one) => (one?.httpGet?.host ?? '') !== '' || (one?.tcpSocket?.host ?? '') !== '')
}

function isForeignSelinux({ seLinuxOptions }: Context): boolean {
  const { type = 'container_t', user = '', role = '' } = seLinuxOptions ?? {}
  return !SELINUX_TYPES.has(type) || user !== '' || role !== ''
}

function isUnmasked(procMount: string | undefined): boolean {
  return procMount !== undefined && procMount !== 'Default'
}

function isForeignVolume(volume: NonNullable<PodSpec['volumes']>[number]): boolean {
  return Object.keys(volume).some((key) => key !== 'name' && !VOLUME_TYPES.has(key))
}

/**
 * What the API server demands of single values besides their type, where our manifests have such a value: the types of the
 * client say `string` of all of them. By type and field.
 */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  'V1Container.imagePullPolicy': ['Always', 'IfNotPresent', 'Never'],
  'V1Container.restartPolicy': ['Always', 'OnFailure', 'Never'],
  'V1Container.terminationMessagePolicy': ['File', 'FallbackToLogsOnError'],
  'V1ContainerPort.protocol': ['TCP', 'UDP', 'SCTP'],
  'V1CronJobSpec.concurrencyPolicy': ['Allow', 'Forbid', 'Replace'],
  'V1DeploymentStrategy.type': ['RollingUpdate', 'Recreate'],
  'V1EmptyDirVolumeSource.medium': ['', 'Memory'],
  'V1HTTPGetAction.scheme': ['HTTP', 'HTTPS'],
  'V1LabelSelectorRequirement.operator': ['In', 'NotIn', 'Exists', 'DoesNotExist'],
  'V1NetworkPolicyPort.protocol': ['TCP', 'UDP', 'SCTP'],
  'V1PersistentVolumeClaimSpec.accessModes': ['ReadWriteOnce', 'ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOncePod'],
  'V1PodDisruptionBudgetSpec.unhealthyPodEvictionPolicy': ['AlwaysAllow', 'IfHealthyBudget'],
  'V1PodSecurityContext.fsGroupChangePolicy': ['OnRootMismatch', 'Always'],
  'V1PodSpec.dnsPolicy': ['ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None'],
  'V1PodSpec.restartPolicy': ['Always', 'OnFailure', 'Never'],
  'V1PolicyRule.verbs':
    'get list watch create update patch delete deletecollection use bind escalate impersonate approve sign *'.split(
      ' ',
    ),
  'V1SeccompProfile.type': ['RuntimeDefault', 'Localhost', 'Unconfined'],
  'V1AppArmorProfile.type': ['RuntimeDefault', 'Localhost', 'Unconfined'],
  'V1ServicePort.protocol': ['TCP', 'UDP', 'SCTP'],
  'V1ServiceSpec.internalTrafficPolicy': ['Cluster', 'Local'],
  'V1ServiceSpec.type': ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'],
  'V1NetworkPolicySpec.policyTypes': ['Ingress', 'Egress'],
  'V1TopologySpreadConstraint.whenUnsatisfiable': ['DoNotSchedule', 'ScheduleAnyway'],
  'V1Toleration.effect': ['NoSchedule', 'PreferNoSchedule', 'NoExecute'],
  'V1VolumeMount.mountPropagation': ['None', 'HostToContainer', 'Bidirectional'],
  'RbacV1Subject.kind': ['User', 'Group', 'ServiceAccount'],
  'V1RoleRef.kind': ['Role', 'ClusterRole'],
  'V1MutatingAdmissionPolicySpec.failurePolicy': ['Fail', 'Ignore'],
  'V1MutatingAdmissionPolicySpec.reinvocationPolicy': ['Never', 'IfNeeded'],
  'V1Mutation.patchType': ['ApplyConfiguration', 'JSONPatch'],
  'V1MatchResources.matchPolicy': ['Exact', 'Equivalent'],
}

/** @see https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/ */
const QUANTITY = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?$/
const QUANTITIES = new Set([
  'V1ResourceRequirements.limits',
  'V1ResourceRequirements.requests',
  'V1VolumeResourceRequirements.limits',
  'V1VolumeResourceRequirements.requests',
  'V1ResourceQuotaSpec.hard',
  'V1EmptyDirVolumeSource.sizeLimit',
  'V1ResourceFieldSelector.divisor',
])

/** RFC 1123 labels, of at most 63 characters. */
const LABEL = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/
const LABELS = new Set(['V1Container.name', 'V1Volume.name', 'V1ServicePort.name'])
const PORT_NAME = /^(?=.{1,15}$)(?=.*[a-z])[a-z0-9]+(?:-[a-z0-9]+)*$/
const PORTS = new Set([
  'V1ContainerPort.containerPort',
  'V1ContainerPort.hostPort',
  'V1HTTPGetAction.port',
  'V1TCPSocketAction.port',
  'V1GRPCAction.port',
  'V1ServicePort.port',
  'V1ServicePort.targetPort',
  'V1NetworkPolicyPort.port',
])
const HIGHEST_MODE = 0o777
const MODES = new Set([
  'V1ConfigMapVolumeSource.defaultMode',
  'V1SecretVolumeSource.defaultMode',
  'V1ProjectedVolumeSource.defaultMode',
  'V1KeyToPath.mode',
])

/** Whether this field may be a number although the types say text: `cpu: 1`. */
export function isQuantity(owner: string): boolean {
  return QUANTITIES.has(owner)
}

/** What is wrong with one value of the right type, if anything. `owner` is `TYPE.FIELD`. */
export function faultOfValue(owner: string, value: unknown): string | undefined {
  const words = WORDS[owner]
  if (words) return oneOf(words, value)
  if (QUANTITIES.has(owner))
    return QUANTITY.test(String(value)) ? undefined : `is no quantity such as 96Mi or 20m: ${JSON.stringify(value)}`
  if (PORTS.has(owner)) return faultOfPort(value)
  if (owner === 'V1ContainerPort.name') return PORT_NAME.test(String(value)) ? undefined : 'is no name of a port'
  if (LABELS.has(owner)) return LABEL.test(String(value)) ? undefined : `is no RFC 1123 label: ${String(value)}`
  if (MODES.has(owner)) return isMode(value) ? undefined : `is no file mode from 0 to 0777: ${String(value)}`
  return undefined
}

function oneOf(words: readonly string[], value: unknown): string | undefined {
  return words.includes(String(value)) ? undefined : `use one of ${words.join(', ')} (was ${JSON.stringify(value)})`
}

function faultOfPort(value: unknown): string | undefined {
  if (typeof value === 'string') return PORT_NAME.test(value) ? undefined : `is no name of a port: ${value}`
  return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 65_535
    ? undefined
    : `is no port: ${String(value)}`
}

function isMode(value: unknown): boolean {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= HIGHEST_MODE
}

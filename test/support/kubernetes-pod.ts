import type * as client from '@kubernetes/client-node'

/** The client has classes; what a manifest holds are mappings of the same form. */
type Plain<T> = T extends readonly (infer U)[] ? Plain<U>[] : T extends object ? { [K in keyof T]: Plain<T[K]> } : T

/** A pod spec, as the official client types it. */
export type PodSpec = Plain<client.V1PodSpec>
/** A container of it. */
export type Container = Plain<client.V1Container>

/** A pod spec in a manifest, where it stands, and what labels its pods have. */
export interface PodOf {
  readonly path: string
  readonly spec: PodSpec
  readonly labels: Readonly<Record<string, string>>
}

interface Template {
  readonly metadata?: { readonly labels?: Record<string, string> }
  readonly spec?: PodSpec
}

/** The pod that a manifest makes; undefined where it makes none. Only where `faultsOf` has nothing to say of its types. */
export function podOf(manifest: { readonly kind: string; readonly [field: string]: unknown }): PodOf | undefined {
  if (manifest.kind === 'Pod') return found('spec', manifest as Template)
  const spec = manifest['spec'] as { template?: Template; jobTemplate?: { spec?: { template?: Template } } } | undefined
  if (spec?.jobTemplate?.spec?.template)
    return found('spec.jobTemplate.spec.template.spec', spec.jobTemplate.spec.template)
  return spec?.template && found('spec.template.spec', spec.template)
}

function found(path: string, { metadata, spec }: Template): PodOf | undefined {
  return spec && { path, spec, labels: metadata?.labels ?? {} }
}

/** All containers of a pod with their places, sidecars first, in the order in which they start. */
export function containersOf({
  initContainers,
  containers,
  ephemeralContainers,
}: PodSpec): readonly (readonly [string, Container])[] {
  const lists = { initContainers, containers, ephemeralContainers }
  return Object.entries(lists).flatMap(([name, list]) =>
    (Array.isArray(list) ? list : []).map((one, index) => [`${name}[${index}]`, one] as const),
  )
}

/** What fits the types and would still be refused, or wait forever: names that nothing has, and names that two have. */
export function faultsOfPod(manifest: { readonly kind: string; readonly [field: string]: unknown }): string[] {
  const pod = podOf(manifest)
  if (!pod) return []
  const { path, spec, labels } = pod
  const containers = containersOf(spec)
  return [
    ...faultsOfSelector(manifest, labels),
    ...faultsOfRestarts(spec, path),
    ...repeated(
      containers.map(([, { name }]) => name),
      `${path}: two containers are called`,
    ),
    ...repeated(
      (spec.volumes ?? []).map(({ name }) => name),
      `${path}.volumes: two are called`,
    ),
    ...containers.flatMap(([at, container]) => faultsOfContainer(container, spec, `${path}.${at}`)),
  ]
}

/** @see https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#selector */
function faultsOfSelector(
  manifest: { readonly [field: string]: unknown },
  labels: Readonly<Record<string, string>>,
): string[] {
  const { selector } = (manifest['spec'] ?? {}) as { selector?: { matchLabels?: Record<string, string> } }
  const wrong = Object.entries(selector?.matchLabels ?? {}).filter(([name, value]) => labels[name] !== value)
  return wrong.map(([name]) => `spec.selector.matchLabels["${name}"]: the template's labels do not match`)
}

/** A sidecar is an init container with `restartPolicy: Always`; probes and preStop are for those and for app containers. */
function faultsOfRestarts({ initContainers }: PodSpec, path: string): string[] {
  return (initContainers ?? []).flatMap((one, index) => {
    const at = `${path}.initContainers[${index}]`
    if (one.restartPolicy === 'Always') return []
    const wrong = (['livenessProbe', 'readinessProbe', 'startupProbe', 'lifecycle'] as const).filter(
      (name) => one[name],
    )
    return wrong.map((name) => `${at}.${name}: only with restartPolicy: Always`)
  })
}

function faultsOfContainer(container: Container, spec: PodSpec, path: string): string[] {
  const { env = [], ports = [], volumeMounts = [], image } = container
  const volumes = new Set((spec.volumes ?? []).map(({ name }) => name))
  const unknown = volumeMounts.filter(({ name }) => !volumes.has(name))
  return [
    ...(image ? [] : [`${path}.image: is required`]),
    ...repeated(
      env.map(({ name }) => name),
      `${path}.env: two are called`,
    ),
    ...repeated(
      ports.flatMap(({ name }) => name ?? []),
      `${path}.ports: two are called`,
    ),
    ...repeated(
      volumeMounts.map(({ mountPath }) => mountPath),
      `${path}.volumeMounts: two at`,
    ),
    ...unknown.map(({ name }) => `${path}.volumeMounts: no volume is called ${name}`),
    ...faultsOfProbes(container, path),
    ...faultsOfResources(container, path),
  ]
}

function faultsOfProbes(container: Container, path: string): string[] {
  const names = new Set((container.ports ?? []).map(({ name }) => name))
  return (['livenessProbe', 'readinessProbe', 'startupProbe'] as const).flatMap((which) => {
    const probe = container[which]
    if (!probe) return []
    const handlers = [probe.httpGet, probe.exec, probe.tcpSocket, probe.grpc].filter(Boolean)
    const port = probe.httpGet?.port ?? probe.tcpSocket?.port
    const fault = (words: string) => `${path}.${which}: ${words}`
    return [
      ...(handlers.length === 1 ? [] : [fault('needs exactly one of httpGet, exec, tcpSocket, grpc')]),
      ...(typeof port === 'string' && !names.has(port) ? [fault(`no port is called ${port}`)] : []),
      ...(which !== 'readinessProbe' && (probe.successThreshold ?? 1) !== 1
        ? [fault('successThreshold must be 1')]
        : []),
    ]
  })
}

function faultsOfResources({ resources }: Container, path: string): string[] {
  const over = Object.entries(resources?.requests ?? {}).filter(([name, value]) => {
    const limit = resources?.limits?.[name]
    return limit !== undefined && amountOf(value) > amountOf(limit)
  })
  return over.map(([name]) => `${path}.resources.requests.${name}: is more than its limit`)
}

const UNITS: Readonly<Record<string, number>> = {
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
}

/** A quantity as a number of its base unit: bytes, or cores. */
export function amountOf(quantity: string | number): number {
  const [, digits, unit = ''] = /^([\d.]+)([A-Za-z]*)$/.exec(String(quantity)) ?? []
  return Number(digits) * (unit === '' ? 1 : (UNITS[unit] ?? Number.NaN))
}

function repeated(names: readonly string[], words: string): string[] {
  return [...new Set(names.filter((name, index) => names.indexOf(name) !== index))].map((name) => `${words} ${name}`)
}

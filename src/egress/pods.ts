import type { Settings } from '../settings/schema.ts'
import { parseListen } from '../wire/listen.ts'

/** What names of services end with, mostly. */
export const CLUSTER_DOMAIN = 'cluster.local'

/** Which pods a policy is about, as the command line names them. */
export interface Pods {
  readonly shape: 'gateway' | 'sidecar'
  /** Label of the pods of the apps; undefined: all of their namespace but those of the gateway, so that none is forgotten. */
  readonly apps: Label | undefined
  /** Label of the pods of the gateway. */
  readonly sallyport: Label
  /** Of the gateway, or of the app with its sidecar; undefined: wherever it is applied. */
  readonly namespace: string | undefined
  /** Of the apps, where it is another one. */
  readonly appsNamespace: string | undefined
  /** What names of services end with. */
  readonly clusterDomain: string
}

/** A label of pods. */
export interface Label {
  readonly key: string
  readonly value: string
}

/** As Kubernetes selects pods; without anything in it, all. */
interface Selector {
  readonly matchLabels?: Readonly<Record<string, string>>
  readonly matchExpressions?: readonly object[]
}

/** The pods of the gateway. */
export function ownPods({ sallyport: { key, value } }: Pods): Selector {
  return { matchLabels: { [key]: value } }
}

/** The pods of the apps, with their sidecars where they have some. */
export function appPods({ shape, apps, sallyport, namespace, appsNamespace = namespace }: Pods): Selector {
  if (apps) return { matchLabels: { [apps.key]: apps.value } }
  if (shape === 'sidecar' || appsNamespace !== namespace) return {}
  return { matchExpressions: [{ key: sallyport.key, operator: 'NotIn', values: [sallyport.value] }] }
}

/** A port that others reach from their own pods. */
export interface OpenPort {
  readonly port: number
  readonly why: string
}

/** The doors that other pods can knock on. */
export function openDoors({ listeners }: Settings): readonly OpenPort[] {
  return listeners.flatMap(({ kind, listen }) => openPort(listen, `${kind} door`))
}

/** Where kubelets probe, and metrics are read. */
export function healthPort({ health }: Settings): readonly OpenPort[] {
  return health ? openPort(health.listen, 'probes and metrics') : []
}

function openPort(listen: string, why: string): readonly OpenPort[] {
  const where = parseListen(listen, { allowNonLoopback: true })
  if (typeof where === 'string' || where.kind !== 'tcp' || where.port === 0) return []
  // Found right at a loopback address: nobody else gets there.
  return typeof parseListen(listen) === 'string' ? [{ port: where.port, why }] : []
}

/** @throws Error in words, where apps would be cut off from everything */
export function doorsForApps(settings: Settings): readonly OpenPort[] {
  const doors = openDoors(settings)
  if (doors.length > 0) return doors
  throw new Error(
    'no door of these settings can be reached from another pod: use --shape sidecar, or give a listener an address such as 0.0.0.0:15443 and tls',
  )
}

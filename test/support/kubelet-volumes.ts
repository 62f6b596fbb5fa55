import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import type { PodSpec } from './kubernetes-pod.ts'

/** What of the cluster a pod refers to, by name and then by key. */
export interface ClusterObjects {
  readonly secrets: Readonly<Record<string, Readonly<Record<string, string>>>>
  readonly configMaps: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** A token of the pod's service account for this audience; without one, for the API server. */
  token(audience: string | undefined): string
}

type Volume = NonNullable<PodSpec['volumes']>[number]
type Items = readonly { readonly key: string; readonly path: string; readonly mode?: number }[]

interface File {
  readonly path: string
  readonly content: string
  readonly mode: number
  /** The kubelet gives a token to the user of the pod where all its containers have the same one. */
  readonly isToken?: boolean
}

/** Who the pod says it is, as far as the kubelet cares. */
export interface Owners {
  readonly fsGroup: number | undefined
  /** The user of every container, where it is one. */
  readonly user: number | undefined
}

/**
 * Fills a directory with a volume as the kubelet does, or brings it up to date: new files are written beside the old ones, and one
 * rename of `..data` makes them the volume's. Owner root, group and modes by `fsGroup`.
 * @see https://pkg.go.dev/k8s.io/kubernetes/pkg/volume/util#AtomicWriter
 * @throws Error where the volume needs what the cluster has not
 */
export function fillVolume(directory: string, volume: Volume, objects: ClusterObjects, owners: Owners): void {
  const isNew = !existsSync(directory)
  mkdirSync(directory, { recursive: true })
  // An emptyDir, and what lies under each of the others: nothing but its group can be chosen.
  if (isNew) chmodSync(directory, 0o777)
  if (isNew && owners.fsGroup !== undefined) {
    chownSync(directory, 0, owners.fsGroup)
    chmodSync(directory, 0o2777)
  }
  if (!volume.emptyDir) swapIn(directory, filesOf(volume, objects, owners), owners)
}

function filesOf(volume: Volume, objects: ClusterObjects, owners: Owners): readonly File[] {
  const { secret, configMap, projected, name } = volume
  if (secret) return picked(objects.secrets[secret.secretName ?? ''], `Secret ${secret.secretName}`, secret)
  if (configMap) return picked(objects.configMaps[configMap.name ?? ''], `ConfigMap ${configMap.name}`, configMap)
  if (!projected) throw new Error(`volume ${name}: this kubelet knows no such kind`)
  const { defaultMode = 0o644, sources = [] } = projected
  return sources.flatMap(({ secret: one, configMap: other, serviceAccountToken }) => {
    if (one) return picked(objects.secrets[one.name ?? ''], `Secret ${one.name}`, { ...one, defaultMode })
    if (other) return picked(objects.configMaps[other.name ?? ''], `ConfigMap ${other.name}`, { ...other, defaultMode })
    if (!serviceAccountToken) throw new Error(`volume ${name}: this kubelet knows no such source`)
    const { audience, path } = serviceAccountToken
    const isOwned = owners.user !== undefined || owners.fsGroup !== undefined
    return [{ path, content: objects.token(audience), mode: isOwned ? 0o600 : defaultMode, isToken: true }]
  })
}

function picked(
  data: Readonly<Record<string, string>> | undefined,
  named: string,
  { items, defaultMode = 0o644 }: { readonly items?: Items; readonly defaultMode?: number },
): readonly File[] {
  if (!data) throw new Error(`MountVolume.SetUp failed: there is no ${named}`)
  const all = items ?? Object.keys(data).map((key) => ({ key, path: key }))
  return all.map(({ key, path, mode = defaultMode }: Items[number]) => {
    const content = data[key]
    if (content === undefined) throw new Error(`MountVolume.SetUp failed: ${named} has no key ${key}`)
    return { path, content, mode }
  })
}

let swaps = 0

function swapIn(directory: string, files: readonly File[], owners: Owners): void {
  const name = `..2026_11_26_00_00_00.${++swaps}`
  const fresh = join(directory, name)
  mkdirSync(fresh)
  chmodSync(fresh, 0o755)
  for (const { path, content, mode, isToken = false } of files) {
    const file = join(fresh, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, content)
    own(file, isToken ? owners.user : undefined, mode, owners.fsGroup)
  }
  if (owners.fsGroup !== undefined) chownSync(fresh, 0, owners.fsGroup)
  if (owners.fsGroup !== undefined) chmodSync(fresh, 0o2755)
  const data = join(directory, '..data')
  const before = existsSync(data) ? readlinkSync(data) : undefined
  symlinkSync(name, join(directory, '..data_tmp'))
  renameSync(join(directory, '..data_tmp'), data)
  for (const [first = ''] of files.map(({ path }) => path.split('/')))
    if (!existsSync(join(directory, first))) symlinkSync(join('..data', first), join(directory, first))
  if (before !== undefined) rmSync(join(directory, before), { recursive: true })
}

/** The group may read what it has been given. @see SetVolumeOwnership */
function own(file: string, user: number | undefined, mode: number, fsGroup: number | undefined): void {
  if (fsGroup !== undefined || user !== undefined) chownSync(file, user ?? 0, fsGroup ?? 0)
  chmodSync(file, fsGroup === undefined || user !== undefined ? mode : mode | 0o440)
}

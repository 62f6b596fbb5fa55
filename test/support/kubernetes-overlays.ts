import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { type PodSpec, podOf } from './kubernetes-pod.ts'
import { type Manifest, readManifests } from './kubernetes-strict.ts'
import { kubernetesTool } from './kubernetes-tools.ts'

/** Where the manifests are. */
export const KUBERNETES = join(import.meta.dirname, '../../deploy/kubernetes')

/** What `kubectl kustomize` makes of a directory: an absolute path, or one below deploy/kubernetes. */
export function rendered(directory: string): readonly Manifest[] {
  const path = join(directory.startsWith('/') ? '' : KUBERNETES, directory)
  const text =
    known.get(path) ?? execFileSync(kubernetesTool('kubectl'), ['kustomize', path], { encoding: 'utf8', stdio: QUIET })
  known.set(path, text)
  return readManifests(text)
}

const known = new Map<string, string>()

const QUIET: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe']

/** The one of this kind and name. */
export function named(manifests: readonly Manifest[], kind: string, name: string): Manifest {
  const found = manifests.filter((one) => one.kind === kind && one.metadata.name.replace(/-[a-z0-9]{10}$/, '') === name)
  if (found.length !== 1 || found[0] === undefined) throw new Error(`there are ${found.length} of ${kind} ${name}`)
  return found[0]
}

/** The pod that one of them makes. */
export function podIn(manifests: readonly Manifest[], kind: string, name: string): PodSpec {
  const pod = podOf(named(manifests, kind, name))
  if (!pod) throw new Error(`${kind} ${name} makes no pod`)
  return pod.spec
}

/** The settings in its ConfigMap. */
export function settingsIn(manifests: readonly Manifest[]): string {
  const { data } = named(manifests, 'ConfigMap', 'sallyport-settings') as { data?: Readonly<Record<string, string>> }
  return data?.['sallyport.yaml'] ?? ''
}

/** All ConfigMaps, by name, as the cluster would have them. */
export function configMapsIn(manifests: readonly Manifest[]): Record<string, Record<string, string>> {
  const all = manifests.filter(({ kind }) => kind === 'ConfigMap')
  return Object.fromEntries(all.map((one) => [one.metadata.name, (one['data'] ?? {}) as Record<string, string>]))
}

import { spawnSync } from 'node:child_process'
import { type Manifest, readManifests } from './kubernetes-strict.ts'
import { kubernetesTool } from './kubernetes-tools.ts'

/** The chart. */
export const CHART = new URL('../../deploy/kubernetes/helm/sallyport', import.meta.url).pathname

/** Values that differ from the chart's own. */
export type Values = Readonly<Record<string, unknown>>

/** What a run of helm has printed, and whether it was content. */
export interface Told {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs helm with these values, which it reads from its input: never from a cluster, nor from settings of this machine. */
export function helm(args: readonly string[], values: Values = {}): Told {
  const env = { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent', HELM_PLUGINS: '/nonexistent' }
  const options = { input: JSON.stringify(values), encoding: 'utf8', env, timeout: 30_000 } as const
  return spawnSync(kubernetesTool('helm'), [...args, '--values', '-'], options)
}

/**
 * What a release `demo` of a chart in the namespace `shop` would install.
 * @throws Error with the words of helm
 */
export function render(values: Values, chart = CHART): readonly Manifest[] {
  const { status, stdout, stderr } = helm(['template', 'demo', chart, '--namespace', 'shop'], values)
  if (status !== 0) throw new Error(stderr)
  return readManifests(stdout)
}

/** The one object of this kind, and of this name if there are several. @throws Error where there is none, or more */
export function only(manifests: readonly Manifest[], kind: string, name?: string): Manifest {
  const [found, ...others] = manifests.filter(
    (one) => one.kind === kind && (name === undefined || one.metadata.name === name),
  )
  if (!found || others.length > 0) throw new Error(`${others.length + (found ? 1 : 0)} of ${kind} ${name ?? ''}`)
  return found
}

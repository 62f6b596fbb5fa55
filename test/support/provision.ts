import { type ExecFileSyncOptions, execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { TOOLS } from './debian.ts'
import { retrying } from './retrying.ts'

/**
 * Installs the programs that tests talk to, before the first test: Debian packages, only those that are missing, and only
 * as root. Where that cannot be, their tests are skipped, and a warning says so; with CI=true it ends the run instead.
 * @throws Error naming the packages
 */
export async function setup(): Promise<void> {
  const missing = missingPackages()
  if (missing.length === 0) return
  try {
    await install(missing)
  } catch (cause) {
    const words = `tests need Debian packages that are not installed: ${missing.join(' ')}`
    if (process.env['CI']) throw new Error(`${words}. Install them, or run the tests as root.`, { cause })
    process.stderr.write(`\nWARNING: ${words}. Tests of these programs are skipped. (${String(cause)})\n\n`)
  }
}

function missingPackages(): readonly string[] {
  const missing = Object.values(TOOLS).filter(({ file }) => !existsSync(file))
  return [...new Set(missing.map((tool) => tool.package))]
}

async function install(packages: readonly string[]): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error('only root may install them')
  if (!existsSync(TOOLS['apt-get'].file)) throw new Error('this is no Debian')
  process.stderr.write(`installing ${packages.join(' ')}\n`)
  await retrying('apt-get', () => {
    // What another one has left half done, when it was ended, keeps every later one from its work.
    execFileSync('dpkg', ['--configure', '-a'], APT)
    aptGet('update')
    aptGet('install', '--yes', '--no-install-recommends', ...packages)
  })
  const missing = missingPackages()
  if (missing.length > 0) throw new Error(`${missing.join(' ')}: installed, and yet not where Debian has it`)
}

function aptGet(...args: readonly string[]): void {
  execFileSync(TOOLS['apt-get'].file, ['--quiet=2', ...PATIENCE, ...args], APT)
}

/** Two runs may start at the same time: one waits for the other, this many seconds. A mirror may fail once. */
const PATIENCE = ['-o', 'DPkg::Lock::Timeout=300', '-o', 'Acquire::Retries=3']

const APT: ExecFileSyncOptions = {
  env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  // Standard output is for the results of tests.
  stdio: ['ignore', 'ignore', 'inherit'],
}

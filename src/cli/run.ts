import { makeUndumpable } from '../wire/undumpable.ts'
import { runChild, Signals } from './child.ts'
import { childEnvironment } from './child-environment.ts'
import { refuseUnsafeEnvironment } from './environment.ts'
import { orSettingsExit } from './failing.ts'
import { covers, noProxyEntries } from './no-proxy.ts'
import { openOwnSidecar } from './own-sidecar.ts'
import { findSidecar } from './running-sidecar.ts'
import type { Sidecar } from './sidecar.ts'
import { writeTrust } from './trust-directory.ts'
import { userEnvironment } from './user-environment.ts'

interface RunOptions {
  readonly config?: string
  readonly caller?: string
  readonly audit?: string
  readonly proxy?: string
  readonly keyFile?: string
  readonly ca?: string
  readonly quiet?: true
}

/**
 * `sallyport run`: a command with a sidecar of its own, or with one that runs already. Its exit code is ours. The command
 * is of the same user, and could read the files that the settings name: this keeps credentials out of its hands, not out
 * of its reach.
 */
export async function runCommand(command: readonly string[], options: RunOptions): Promise<void> {
  const code = await orSettingsExit(async () => {
    refuseUnsafeEnvironment(process.env)
    makeUndumpable()
    const signals = new Signals()
    const sidecar = await sidecarFor(options)
    const say = options.quiet ? () => undefined : (line: string) => process.stderr.write(`${line}\n`)
    try {
      const env = userEnvironment(process.env)
      bypassesOf(sidecar, env).forEach(say)
      return await runChild(await commandWith(command, sidecar, env), signals)
    } finally {
      await sidecar.close()
      // Not before: until then the terminal is the command's, and what it asked for last is recorded when it is closed.
      sidecar.refusals().forEach(say)
    }
  })
  // Not by itself: a child of the child may hold a connection to us.
  if (code !== undefined) process.exit(code)
}

function sidecarFor({ config, caller, audit, proxy, keyFile, ca }: RunOptions): Promise<Sidecar> {
  const usual = proxy === undefined && process.env['SALLYPORT_CONFIG']
  if (config === undefined && usual) return openOwnSidecar({ config: usual, caller, audit })
  if (config !== undefined && proxy === undefined) return openOwnSidecar({ config, caller, audit })
  if (config === undefined && proxy !== undefined && keyFile !== undefined) return findSidecar({ proxy, keyFile, ca })
  throw new Error('use --config FILE, or --proxy http://NAME@HOST:PORT and --key-file FILE')
}

async function commandWith([file = '', ...args]: readonly string[], sidecar: Sidecar, env: NodeJS.ProcessEnv) {
  const { certificatePem, withheld } = sidecar
  const trust = certificatePem === undefined ? undefined : await writeTrust(certificatePem, env)
  const kept = Object.entries(env).filter(([name]) => !withheld.includes(name))
  return { file, args, env: { ...Object.fromEntries(kept), ...childEnvironment({ ...sidecar, trust, env }) } }
}

function bypassesOf({ hosts }: Sidecar, env: NodeJS.ProcessEnv): string[] {
  const entries = noProxyEntries(env)
  const past = hosts.filter((host) => entries.some((entry) => covers(entry, host)))
  return past.map((host) => `warning: ${host} goes past Sallyport: NO_PROXY names it`)
}

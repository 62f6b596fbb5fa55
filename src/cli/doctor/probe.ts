import { spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import type { SecureContext } from 'node:tls'
import type { Client } from './clients.ts'
import { openProbeProxy, type Verdict } from './probe-proxy.ts'

/** What a client is to be shown. */
export interface Exhibit {
  readonly host: string
  /** With a certificate for that host. */
  readonly context: SecureContext
  readonly env: NodeJS.ProcessEnv
}

/** How a client took it. */
export interface Reaction {
  /** Undefined: it ended before it asked for anything. */
  readonly verdict: Verdict | undefined
  readonly exitCode: number | null
}

/** Whether a program is installed. */
export function isInstalled(program: string, { PATH = '' }: NodeJS.ProcessEnv): boolean {
  return PATH.split(delimiter).some((directory) => directory !== '' && isExecutable(join(directory, program)))
}

/** Lets a client ask for a host that we answer for, in its own environment and through a proxy of ours. */
export async function probe(client: Client, { host, context, env }: Exhibit, signal: AbortSignal): Promise<Reaction> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-doctor-'))
  const proxy = await openProbeProxy(host, context)
  try {
    const source = join(directory, 'Probe.java')
    if (client.source !== undefined) await writeFile(source, client.source)
    const args = client.args({ port: proxy.port, host, source })
    const ended = await run(client.program, args, { env: withoutProxies(env), signal })
    const verdicts = await proxy.verdicts()
    return { ...ended, verdict: verdicts.find((verdict) => verdict === 'trusts') ?? verdicts[0] }
  } finally {
    proxy.close()
    await rm(directory, { recursive: true, force: true })
  }
}

interface Circumstances {
  readonly env: NodeJS.ProcessEnv
  readonly signal: AbortSignal
}

/** What it prints is for its user, and of no use here. */
function run(program: string, args: readonly string[], circumstances: Circumstances) {
  return new Promise<Omit<Reaction, 'verdict'>>((resolve, reject) => {
    const child = spawn(program, args, { ...circumstances, killSignal: 'SIGKILL', stdio: 'ignore' })
    child.once('error', reject).once('close', (exitCode) => resolve({ exitCode }))
  })
}

/** What would lead it elsewhere, or make it ask a person. */
function withoutProxies(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(([name]) => !/^(?:https?|all|no)_proxy$/i.test(name))
  return { ...Object.fromEntries(kept), GIT_TERMINAL_PROMPT: '0' }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

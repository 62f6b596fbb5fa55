import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A running sidecar, as its own process, on settings of its own. */
export interface Running {
  readonly directory: string
  readonly pid: number
  /** Addresses by kind of door, in the order of the settings: `host:port` or `unix:/path`. */
  readonly doors: readonly { readonly kind: string; readonly address: string }[]
  readonly admin: string | undefined
  readonly health: string | undefined
  /** Everything it has printed so far. */
  output(): string
  /** The asks in the audit so far, parsed. Waits until there are at least `count` entries. */
  audit(count: number): Promise<Record<string, unknown>[]>
  /** Ends it; the exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
}

/** A directory of its own, private, for settings and secrets. */
export function privateDirectory(): string {
  return mkdtempSync(join(tmpdir(), 'sallyport-'))
}

/** Writes a file that only its owner can read. */
export function writeSecret(directory: string, name: string, text: string): string {
  const file = join(directory, name)
  writeFileSync(file, text, { mode: 0o600 })
  return file
}

interface Options {
  /** Extra environment. */
  readonly env?: NodeJS.ProcessEnv
  readonly nodeFlags?: readonly string[]
  /** Flags of `serve`. */
  readonly flags?: readonly string[]
  /** What runs it, as another user or in another namespace; it has to become the program, and to keep its process. */
  readonly by?: readonly string[]
}

/** For a machine that is busy with other things. How fast a start has to be is a matter of test/stories/lifecycle.test.ts. */
const READY_MS = 40_000

/** Starts `sallyport serve` from source on these settings, and waits until it is ready. */
export async function startSallyport(directory: string, settings: object, options: Options = {}): Promise<Running> {
  const audit = join(directory, 'audit.jsonl')
  const file = writeSettings(directory, settings)
  const child = spawnCli(['serve', ...(options.flags ?? []), '--config', file], options)
  const printed = collect(child)
  const ready = await Promise.race([printed.line(/^\{"msg":"ready".*$/m), exited(child)])
  if (typeof ready !== 'string')
    throw new Error(`sallyport ended with ${ready.code} before it was ready:\n${printed.text()}`)
  const { listeners, admin, health } = JSON.parse(ready)
  return {
    directory,
    pid: child.pid ?? 0,
    doors: listeners,
    admin,
    health,
    output: printed.text,
    audit: (count) => readAudit(audit, count),
    async stop(signal = 'SIGTERM') {
      const ended = exited(child)
      if (child.exitCode === null && child.signalCode === null) child.kill(signal)
      const { code } = await ended
      return code
    },
  }
}

function writeSettings(directory: string, settings: object): string {
  const file = join(directory, 'sallyport.yaml')
  const whole = {
    audit: { sinks: [{ kind: 'json-lines', path: 'audit.jsonl' }] },
    log: { level: 'debug' },
    ...settings,
  }
  writeFileSync(file, JSON.stringify(whole, undefined, 2))
  return file
}

/** Gives a running sidecar other settings, and waits until it has taken them in, or has not. */
export async function reloadSallyport({ directory, pid, output }: Running, settings: object): Promise<void> {
  const times = () => output().match(/settings were read again/g)?.length ?? 0
  const before = times()
  writeSettings(directory, settings)
  process.kill(pid, 'SIGHUP')
  await eventually(() => times() > before || undefined, 'the settings to be read again')
}

/** Runs any verb to its end. */
export async function runCli(args: readonly string[], options: Options & { readonly cwd?: string } = {}) {
  const child = spawnCli(args, options)
  const printed = collect(child)
  const { code } = await exited(child)
  return { code, stdout: printed.stdout(), stderr: printed.stderr() }
}

/** As deploy/start.mjs has it. */
const COMPILE_CACHE = new URL('../../node_modules/.cache/sallyport', import.meta.url).pathname

const FLAGS = ['--disable-sigusr1', '--expose-gc', '--disable-warning=ExperimentalWarning', '--disable-warning=DEP0060']

function spawnCli(
  args: readonly string[],
  { env = {}, nodeFlags = [], by = [], cwd }: Options & { cwd?: string },
): ChildProcess {
  const cli = new URL('../../src/cli.ts', import.meta.url).pathname
  const { NODE_OPTIONS: _unused, ...clean } = process.env
  const [program = '', ...rest] = [...by, process.execPath, ...FLAGS, ...nodeFlags, cli, ...args]
  return spawn(program, rest, {
    env: { ...clean, NODE_COMPILE_CACHE: COMPILE_CACHE, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd !== undefined && { cwd }),
  })
}

function collect(child: ChildProcess) {
  let out = ''
  let err = ''
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (out += chunk))
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (err += chunk))
  return {
    text: () => out + err,
    stdout: () => out,
    stderr: () => err,
    line: (pattern: RegExp) => eventually(() => pattern.exec(out)?.[0], 'a line that says ready', READY_MS),
  }
}

function exited(child: ChildProcess): Promise<{ code: number | null }> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve({ code: child.exitCode })
  return new Promise((resolve) => child.once('close', (code) => resolve({ code })))
}

async function readAudit(file: string, count: number): Promise<Record<string, unknown>[]> {
  return eventually(() => {
    const entries = wholeLinesOf(file)
      .map((line) => JSON.parse(line))
      .filter(({ msg }) => msg === 'ask')
    return entries.length >= count ? entries : undefined
  }, `${count} audit entries`)
}

/** The lines of a file that another process appends to. One that has no line end yet is being written just now, and left out. */
export function wholeLinesOf(file: string): string[] {
  return readFileSync(file, 'utf8').split('\n').slice(0, -1)
}

/** How far looks are apart. */
const LOOK_MS = 15

/**
 * Looks until there is a value; fails loudly when there is none in time. Of the time between two looks no more is counted than
 * was meant: for what a busy machine keeps us waiting, whoever is waited for was kept waiting, too.
 */
export async function eventually<T>(
  look: () => T | undefined | Promise<T | undefined>,
  what: string,
  deadlineMs = 10_000,
): Promise<T> {
  for (let spentMs = 0; ; spentMs += LOOK_MS) {
    const began = performance.now()
    const value = await look()
    if (value !== undefined) return value
    spentMs += performance.now() - began
    if (spentMs > deadlineMs) throw new Error(`waited ${deadlineMs} ms for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }
}

/** Removes a private directory. */
export function remove(directory: string): void {
  rmSync(directory, { recursive: true, force: true })
}

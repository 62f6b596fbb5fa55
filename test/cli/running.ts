import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { crmDirectory, crmSettings } from '../stories/crm.ts'
import { eventually, privateDirectory, remove, runCli, writeSecret } from '../support/sallyport.ts'

/** The command line from source, for tests that have to start it in a way of their own. */
export const CLI = [
  process.execPath,
  '--disable-sigusr1',
  '--expose-gc',
  '--disable-warning=ExperimentalWarning',
  new URL('../../deploy/start.mjs', import.meta.url).pathname,
]

/** Settings in a directory of their own, and a place for temporary files that nobody else has. */
export interface Place {
  readonly config: string
  readonly directory: string
  readonly temporary: string
  /** What is left in the place for temporary files. */
  left(): string[]
}

/** The usual settings of the stories, with an audit in a file, for one test. `port`: of the upstream. */
export function placeFor(port: number, connection: object = {}, settings: object = {}): Place {
  const directory = crmDirectory()
  const temporary = privateDirectory()
  onTestFinished(() => {
    remove(directory)
    remove(temporary)
  })
  const audit = { sinks: [{ kind: 'json-lines', path: 'audit.jsonl' }] }
  const whole = crmSettings({ port, connection, settings: { audit, ...settings } })
  const config = writeSecret(directory, 'sallyport.json', JSON.stringify(whole))
  return { config, directory, temporary, left: () => readdirSync(temporary) }
}

/** What the machine that tests says of its own authorities and proxies. */
const OWN = /^(?:.*_proxy|.*CERT.*|.*CA_?(?:BUNDLE|INFO).*|WGETRC|APT_CONFIG|JAVA_TOOL_OPTIONS)$/i

/** The environment of `sallyport run` for a place, without that. */
export function environmentOf(place: Place): NodeJS.ProcessEnv {
  const without = Object.keys(process.env).filter((name) => OWN.test(name))
  return { ...Object.fromEntries(without.map((name) => [name, undefined])), TMPDIR: place.temporary }
}

/** Runs a command to its end, as `sallyport run` has it. */
export function runWith(place: Place, command: readonly string[], env: NodeJS.ProcessEnv = {}) {
  return runCli(['run', '--config', place.config, '--', ...command], { env: { ...environmentOf(place), ...env } })
}

/** The environment of a command that prints it. */
export async function environmentIn(place: Place, env: NodeJS.ProcessEnv = {}): Promise<Map<string, string>> {
  const { stdout } = await runWith(place, ['env', '-0'], env)
  const rows = stdout
    .split('\0')
    .map((row) => [row.slice(0, row.indexOf('=')), row.slice(row.indexOf('=') + 1)] as const)
  return new Map(rows)
}

/** A command that is running. */
export interface Started {
  readonly process: ChildProcess
  /** Waits for a word on standard output. */
  said(word: string): Promise<string>
  /** Its exit code. */
  ended(): Promise<number | null>
}

/** Starts a program, and ends it with the test. */
export function start([file = '', ...args]: readonly string[], env: NodeJS.ProcessEnv): Started {
  const child = spawn(file, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  const end = new Promise<number | null>((resolve) => child.once('close', resolve))
  return {
    process: child,
    said: (word) => eventually(() => (text.includes(word) ? text : undefined), `the word ${word}`, 40_000),
    ended: () => end,
  }
}

/** `sallyport run` of a shell script, not waited for. */
export function startScript(place: Place, script: string): Started {
  return start([...CLI, 'run', '--config', place.config, '--', 'sh', '-c', script], environmentOf(place))
}

/** A file of a place. */
export function fileOf(place: Place, name: string): string {
  return join(place.directory, name)
}

import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { Finding } from '../../src/cli/doctor/finding.ts'
import { crmDirectory, crmSettings } from '../stories/crm.ts'
import { privateDirectory, remove, runCli, startSallyport, writeSecret } from '../support/sallyport.ts'
import { CLI } from './running.ts'

/** What `sallyport doctor --json` said. */
export interface Report {
  readonly code: number | null
  readonly text: string
  readonly findings: readonly Finding[]
  /** The one finding of a check about this subject. */
  about(check: string, subject: string): Finding
}

/** What this machine may have set, and the doctor would look at. */
const LOOKED_AT = [
  'HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy',
  'NODE_USE_ENV_PROXY NODE_EXTRA_CA_CERTS SSL_CERT_FILE SSL_CERT_DIR JAVA_TOOL_OPTIONS',
]
const UNSET = Object.fromEntries(
  LOOKED_AT.join(' ')
    .split(' ')
    .map((name) => [name, undefined]),
)

/** Runs the doctor on a settings file, in an environment without proxies and trust of its own. */
export async function examined(config: string, env: NodeJS.ProcessEnv = {}): Promise<Report> {
  const { code, stdout, stderr } = await runCli(['doctor', '--config', config, '--json'], { env: { ...UNSET, ...env } })
  if (stderr !== '') throw new Error(stderr)
  return reportOf(stdout, code)
}

/** The same for people. */
export function examinedInWords(config: string) {
  return runCli(['doctor', '--config', config], { env: UNSET })
}

/** Runs these lines in a shell that has nothing but this environment, and the doctor from there. */
export function examinedAfter(lines: readonly string[], config: string, env: Readonly<Record<string, string>>) {
  const bin = emptyDirectory()
  const command = `exec '${CLI.join("' '")}' "$@"`
  writeFileSync(join(bin, 'sallyport'), `#!/bin/sh\n${command}\n`, { mode: 0o755 })
  const script = ['set -e', ...lines, `exec sallyport doctor --config ${config} --json`].join('\n')
  return new Promise<Report>((resolve) => {
    const child = execFile('sh', ['-c', script], { env: { ...env, PATH: `${bin}:${env['PATH']}` } }, (_, stdout) =>
      resolve(reportOf(stdout, child.exitCode)),
    )
  })
}

/** JSON as a report. */
export function reportOf(text: string, code: number | null): Report {
  const { findings }: { findings: Finding[] } = JSON.parse(text)
  return {
    code,
    text,
    findings,
    about(check, subject) {
      const [found, ...others] = findings.filter((one) => one.check === check && one.subject === subject)
      if (found && others.length === 0) return found
      throw new Error(`not one finding of ${check} about ${subject}: ${text}`)
    },
  }
}

/** Settings in a directory of their own, for one test. `port`: of the upstream. */
export function settingsFor(port: number, settings: object, connection: object = {}) {
  const directory = crmDirectory()
  onTestFinished(() => remove(directory))
  const whole = crmSettings({ port, connection, settings })
  return { directory, config: writeSecret(directory, 'sallyport.yaml', JSON.stringify(whole)), whole }
}

/** A sidecar that runs on such settings until the test ends. */
export async function sidecarFor(port: number, settings: object, connection: object = {}) {
  const place = settingsFor(port, settings, connection)
  const running = await startSallyport(place.directory, place.whole)
  onTestFinished(async () => void (await running.stop('SIGKILL')))
  return { ...place, running }
}

/** An empty directory for one test. */
export function emptyDirectory(): string {
  const directory = privateDirectory()
  onTestFinished(() => remove(directory))
  return directory
}

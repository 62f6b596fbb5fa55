import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { pathOf } from './debian.ts'
import { freePort } from './ports.ts'
import { eventually } from './sallyport.ts'

/** One series of an answer, with its value. */
export interface Found {
  readonly metric: Readonly<Record<string, string>>
  readonly value: number
}

/** An alert as the server has it. */
export interface FiredAlert {
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly state: string
}

/** A real Prometheus, in a directory of its own, that scrapes every second. */
export interface RunningPrometheus {
  /** An instant query; `at`: Unix seconds, now without it. @throws Error with what the server says against it */
  query(expression: string, at?: number): Promise<readonly Found[]>
  alerts(): Promise<readonly FiredAlert[]>
  stop(): Promise<void>
}

interface Wishes {
  readonly targets: readonly string[]
  readonly rules: readonly string[]
  readonly externalLabels?: Readonly<Record<string, string>>
}

/** Starts one on loopback. Rules are evaluated every second, too. */
export async function startPrometheus({ targets, rules, externalLabels = {} }: Wishes): Promise<RunningPrometheus> {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-prometheus-'))
  for (const file of rules) copyFileSync(file, join(directory, basename(file)))
  const config = {
    global: { scrape_interval: '1s', evaluation_interval: '1s', external_labels: externalLabels },
    rule_files: rules.map((file) => basename(file)),
    scrape_configs: [
      { job_name: 'sallyport', static_configs: [{ targets, labels: { namespace: 'test', pod: 'sallyport-0' } }] },
    ],
  }
  const file = join(directory, 'prometheus.yml')
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(config))
  const url = `http://127.0.0.1:${await freePort()}`
  const child = spawn(
    pathOf('prometheus'),
    [`--config.file=${file}`, `--storage.tsdb.path=${join(directory, 'data')}`, `--web.listen-address=${url.slice(7)}`],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (said += chunk))
  const ended = once(child, 'exit')
  await eventually(async () => {
    if (child.exitCode !== null) throw new Error(`prometheus has ended:\n${said}`)
    const answer = await fetch(`${url}/-/ready`).catch(() => undefined)
    return answer?.ok ? true : undefined
  }, 'prometheus to be ready')
  return {
    async query(expression, at) {
      const time = at === undefined ? '' : `&time=${at}`
      const data = await ask(`${url}/api/v1/query?query=${encodeURIComponent(expression)}${time}`)
      return found(data)
    },
    async alerts() {
      const data = await ask(`${url}/api/v1/alerts`)
      // As its API documents it.
      return (data as { readonly alerts: readonly FiredAlert[] }).alerts
    },
    async stop() {
      child.kill()
      await ended
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

async function ask(url: string): Promise<unknown> {
  const answer = await fetch(url)
  const { status, data, error } = (await answer.json()) as Readonly<Record<string, unknown>>
  if (status !== 'success') throw new Error(`${String(error)}\n${decodeURIComponent(url)}`)
  return data
}

interface Vector {
  readonly resultType: string
  readonly result: readonly { readonly metric: Found['metric']; readonly value: readonly [number, string] }[]
}

function found(data: unknown): readonly Found[] {
  // As its API documents it; none of our expressions is of another type.
  const { resultType, result } = data as Vector
  if (resultType !== 'vector') throw new Error(`a ${resultType}, where a vector was expected`)
  return result.map(({ metric, value: [, text] }) => ({ metric, value: Number(text) }))
}

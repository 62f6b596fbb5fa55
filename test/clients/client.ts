import { spawn } from 'node:child_process'
import type { Tool } from '../support/debian.ts'
import type { ServiceName } from './upstream.ts'

/** What a client is to do, and with what. */
export interface Errand {
  /** Where its service is; no final slash. */
  readonly url: string
  /**
   * All of its environment. At a reverse door two more variables, for what each client has for it: `API_KEY`, to show where
   * the service's own key would be, and `API_SOCKET`, the Unix socket to ask at.
   */
  readonly env: Readonly<Record<string, string>>
  /** An empty directory, its home. */
  readonly cwd: string
}

/** How it went. */
export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A way to reach an upstream: a proxy, a base URL, or a base URL on a Unix socket. */
export type Way = 'proxy' | 'reverse' | 'socket'

/** A real client, as a row of a table. */
export interface Client {
  readonly name: string
  readonly needs: readonly Tool[]
  readonly service: ServiceName
  readonly ways: readonly Way[]
  /** Requests that the upstream must have seen when it is done: method and path. */
  readonly asks: readonly string[]
  /** What may take minutes, the first time. */
  prepare?(): Promise<unknown>
  /** Prints what it got. With no way through it ends, soon, with another code than 0. */
  run(errand: Errand): Promise<Ended>
}

/** ms after which a program that has not ended is killed. */
const DEADLINE_MS = 50_000

interface Surroundings extends Pick<Errand, 'env' | 'cwd'> {
  readonly deadlineMs?: number
  /** What it reads from standard input; without it, nothing is there. */
  readonly input?: string
}

/** Runs a program to its end, or to that of its time. */
export function runProgram(
  file: string,
  args: readonly string[],
  { env, cwd, deadlineMs: timeout = DEADLINE_MS, input }: Surroundings,
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      env,
      cwd,
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      timeout,
    })
    let stdout = ''
    let stderr = ''
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk))
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk))
    // One that does not read it may be gone before it is written.
    child.stdin?.on('error', () => undefined).end(input)
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, stdout, stderr }))
  })
}

/** Runs steps in turn until one fails; what they print is put together. */
export async function runSteps(steps: readonly (() => Promise<Ended>)[]): Promise<Ended> {
  let all: Ended = { code: 0, stdout: '', stderr: '' }
  for (const step of steps) {
    const { code, stdout, stderr } = await step()
    all = { code, stdout: all.stdout + stdout, stderr: all.stderr + stderr }
    if (code !== 0) break
  }
  return all
}

/** The service's URL with the key in it, for those who take it there. */
export function withUserinfo({ url, env }: Errand): string {
  const key = env['API_KEY']
  return key === undefined ? url : url.replace('://', `://client:${key}@`)
}

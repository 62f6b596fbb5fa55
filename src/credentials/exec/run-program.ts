import { type ChildProcess, spawn } from 'node:child_process'
import { Problem } from '../../core/problem.ts'
import { codeOf } from '../../wire/opening.ts'
import { senseless } from '../told-token.ts'

/** A program to run once. */
export interface Run {
  /** For messages. */
  readonly name: string
  readonly file: string
  readonly args: readonly string[]
  /** All of its environment. */
  readonly env: Readonly<Record<string, string>>
  readonly timeoutMs: number
  /** Of standard output. */
  readonly maxBytes: number
  /** Ends it early. */
  readonly signal: AbortSignal | undefined
}

/**
 * What a program printed. No shell, no terminal, and a process group of its own, which is killed whole when it takes too
 * long, prints too much, is to end, or has ended: what it left behind would hold its output open. What it says on standard
 * error may hold a secret: only its length is kept.
 * @throws Problem `credential-unavailable` when it did not end in time, `credential-failed` when it did not do well
 */
export async function runProgram(run: Run): Promise<string> {
  if (run.signal?.aborted) throw new Problem('credential-unavailable', { reason: CLOSING })
  const child = start(run)
  let failure: Problem | undefined
  const end = (problem: Problem) => {
    failure ??= problem
    killGroup(child)
    // Whatever has left the group, as a daemon does, still holds them open.
    child.stdout?.destroy()
    child.stderr?.destroy()
  }
  const timer = setTimeout(() => end(late(run)), run.timeoutMs)
  const stop = () => end(new Problem('credential-unavailable', { reason: CLOSING }))
  run.signal?.addEventListener('abort', stop, { once: true })
  try {
    const { output, complaint } = await finished(child, run, end)
    if (failure ?? complaint) throw failure ?? complaint
    return output
  } finally {
    clearTimeout(timer)
    run.signal?.removeEventListener('abort', stop)
  }
}

const CLOSING = 'Sallyport is closing'

function start({ name, file, args, env }: Run): ChildProcess {
  try {
    return spawn(file, args, { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  } catch (error) {
    throw unrunnable(name, error)
  }
}

interface Finish {
  readonly output: string
  readonly complaint: Problem | undefined
}

function finished(child: ChildProcess, { name, maxBytes }: Run, end: (problem: Problem) => void): Promise<Finish> {
  const chunks: Buffer[] = []
  let length = 0
  let saidBytes = 0
  child.stdout?.on('data', (chunk: Buffer) => {
    length += chunk.length
    if (length > maxBytes) end(senseless(`the command ${name} printed more than ${maxBytes} bytes`))
    else chunks.push(chunk)
  })
  child.stderr?.on('data', (chunk: Buffer) => (saidBytes += chunk.length))
  child.once('exit', () => killGroup(child))
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(unrunnable(name, error)))
    child.once('close', (code, signal) => {
      const how = code === null ? `was ended by ${signal}` : `exited with ${code}`
      const reason = `the command ${name} ${how}, and wrote ${saidBytes} bytes to its standard error: run it by hand to read them`
      const output = new TextDecoder('utf-8', { ignoreBOM: true }).decode(Buffer.concat(chunks))
      resolve({ output, complaint: code === 0 ? undefined : senseless(reason) })
    })
  })
}

function late({ name, timeoutMs }: Run): Problem {
  return new Problem('credential-unavailable', { reason: `the command ${name} did not end within ${timeoutMs} ms` })
}

function unrunnable(name: string, error: unknown): Problem {
  return senseless(`the command ${name} cannot be run (${codeOf(error)})`)
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // All of it has ended already.
  }
}

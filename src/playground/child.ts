import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/** How long a process has to stop by itself; ms. */
const STOP_MS = 5_000
const LAST_WORDS_LENGTH = 2_000

/** What to run: a name for people, and the arguments of node. */
export interface Program {
  readonly name: string
  readonly args: readonly string[]
  readonly cwd: string
  /** Written to its standard input as one line of JSON; the pipe stays open for as long as we live. */
  readonly orders?: object
  /** What it complains of comes through at once. Without it, only when it ends. */
  readonly isHeard?: boolean
  /** Called with each line it prints but the first. */
  readonly onLine?: (line: string) => void
}

/**
 * One process of the playground. It is not in the terminal's foreground group: Ctrl-C would reach it together with us,
 * and then once more from us, and to the sidecar a second signal means "do not wait".
 */
export class Child {
  /** What it says when it is ready. Never settles when it ends before. */
  readonly firstLine: Promise<string>
  /** Resolves when it has ended, whyever, and all it printed has been seen; with how that was, in words. */
  readonly ended: Promise<string>
  readonly #name: string
  readonly #process: ChildProcess
  #lastWords = ''

  constructor({ name, args, cwd, orders, isHeard = false, onLine }: Program) {
    this.#name = name
    const stdio = [orders ? 'pipe' : 'ignore', 'pipe', isHeard ? 'inherit' : 'pipe'] as const
    this.#process = spawn(process.execPath, args, { cwd, detached: true, stdio: [...stdio] })
    this.firstLine = new Promise((resolve) => this.#listen(resolve, onLine))
    this.ended = new Promise((resolve) => {
      this.#process.once('error', (error) => resolve(`${name} could not be started: ${error.message}`))
      this.#process.once('close', (code, signal) => resolve(this.#obituary(signal ?? `exit code ${code}`)))
    })
    // It may be gone before it has read them; `ended` says so.
    this.#process.stdin?.on('error', () => undefined)
    this.#process.stdin?.write(`${JSON.stringify(orders)}\n`)
  }

  /** Idempotent. */
  async stop(): Promise<void> {
    this.#process.kill('SIGTERM')
    const late = setTimeout(() => this.#process.kill('SIGKILL'), STOP_MS)
    await this.ended
    clearTimeout(late)
  }

  #listen(onFirst: (line: string) => void, onLine: Program['onLine']): void {
    const { stdout, stderr } = this.#process
    let take = (line: string) => {
      take = onLine ?? (() => undefined)
      onFirst(line)
    }
    if (stdout) createInterface({ input: stdout }).on('line', (line) => take(line))
    stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#lastWords = (this.#lastWords + text).slice(-LAST_WORDS_LENGTH)
    })
  }

  #obituary(how: string): string {
    const words = this.#lastWords.trim()
    return `${this.#name} ended (${how})${words === '' ? '' : `: ${words}`}`
  }
}

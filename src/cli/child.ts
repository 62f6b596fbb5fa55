import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { isatty } from 'node:tty'
import { codeOf } from '../wire/opening.ts'
import { unblock } from './unblock.ts'

/** A program to run; without a shell. */
export interface Command {
  readonly file: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
}

/** As shells have it. */
const NOT_FOUND = 127
const NOT_EXECUTABLE = 126

const ENDING = ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const
/** A terminal sends these to its whole foreground group: to the child as well as to us. */
const FROM_KEYBOARD: readonly NodeJS.Signals[] = ['SIGINT', 'SIGQUIT']

/**
 * What signals do from now on: end this process at once, by way of its `exit` handlers, which signals of their own accord
 * do not run; or what `divert` says.
 */
export class Signals {
  readonly #end = (signal: NodeJS.Signals): void => process.exit(exitCodeOf(null, signal))
  #take = this.#end

  constructor() {
    for (const signal of ENDING) process.on(signal, () => this.#take(signal))
    unblock('SIGUSR1')
  }

  /** For as long as `until` is pending, `take` gets the signals. */
  async divert<T>(take: (signal: NodeJS.Signals) => void, until: Promise<T>): Promise<T> {
    this.#take = take
    process.on('SIGWINCH', take)
    try {
      return await until
    } finally {
      process.off('SIGWINCH', take)
      this.#take = this.#end
    }
  }
}

/**
 * Runs a program to its end on our own standard streams, and hands signals on to it. Its exit code, as a shell would give it.
 * Killed outright, we leave it running, and without a way out: PR_SET_PDEATHSIG could end it, but a child has to set that
 * itself, and setpriv in its place would be one program more to have installed and to tell what could not be run.
 */
export async function runChild({ file, args, env }: Command, signals: Signals): Promise<number> {
  let child: ChildProcess
  try {
    child = spawn(file, args, { env, stdio: 'inherit' })
  } catch (error) {
    // What is wrong with a file comes as an event; what is wrong with arguments (E2BIG, a zero byte) is thrown.
    return complain(file, error)
  }
  const hand = (signal: NodeJS.Signals) => {
    if (!(FROM_KEYBOARD.includes(signal) && isInForeground())) child.kill(signal)
  }
  return signals.divert(hand, endOf(child, file))
}

function endOf(child: ChildProcess, file: string): Promise<number> {
  return new Promise((resolve) => {
    child.on('error', (error) => {
      // A signal that could not be delivered is an error as well, and no end.
      if (child.pid === undefined) resolve(complain(file, error))
    })
    child.once('exit', (code, signal) => resolve(exitCodeOf(code, signal)))
  })
}

function exitCodeOf(code: number | null, signal: NodeJS.Signals | null): number {
  return code ?? 128 + (signal === null ? 0 : constants.signals[signal])
}

function complain(file: string, error: unknown): number {
  const code = codeOf(error)
  const isMissing = code === 'ENOENT'
  process.stderr.write(`${file} ${isMissing ? 'cannot be found' : `cannot be run (${code})`}\n`)
  return isMissing ? NOT_FOUND : NOT_EXECUTABLE
}

/** Whether the terminal's keys reach us. Standard input may be a pipe and they do, or be the terminal and we in the background. */
function isInForeground(): boolean {
  try {
    const stat = readFileSync('/proc/self/stat', 'utf8')
    // After the name, which may hold anything: state, ppid, pgrp, session, tty_nr, tpgid. @see proc_pid_stat(5)
    const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return group === foreground
  } catch {
    return isatty(0)
  }
}

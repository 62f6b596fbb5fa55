import { lstatSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** What every one of these directories begins with. */
const COMMON = 'sallyport-run-'

/**
 * How a directory of this process is to be named, so that another one can tell whether it is still in use: by the namespace
 * that its pid is of, the pid, and when that process was started, because pids come again. Where there is no /proc, a name
 * that tells nothing.
 */
export function ownPrefix(): string {
  const space = namespace()
  const start = startOf('self')
  return space === undefined || start === undefined ? COMMON : `${COMMON}${space}-${process.pid}-${start}-`
}

/** Removes the directories of processes that were killed: nobody else would. What is not ours, or in use, stays. */
export function sweep(directory: string): void {
  const space = namespace()
  if (space === undefined) return
  for (const name of namesIn(directory)) {
    const [, of, pid = '', start] = NAME.exec(name) ?? []
    const path = join(directory, name)
    // In a container that shares this directory the same pid is somebody else.
    if (of === space && startOf(pid) !== start && isOwn(path)) rmSync(path, { recursive: true, force: true })
  }
}

const NAME = new RegExp(`^${COMMON}(\\d+)-(\\d+)-(\\d+)-\\w{6}$`)

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

/** A link would be no directory of ours, whoever made it. */
function isOwn(path: string): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false })
  return found?.isDirectory() === true && found.uid === process.geteuid?.()
}

function namespace(): string | undefined {
  try {
    return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0]
  } catch {
    return undefined
  }
}

/** In ticks since the machine was started; undefined where there is no such process. @see proc_pid_stat(5) */
function startOf(pid: string): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // After the name, which may hold anything, the third field comes first.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[22 - 3]
  } catch {
    return undefined
  }
}

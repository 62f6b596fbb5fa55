import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { readdir, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hasTool } from '../debian.ts'
import { eventually } from '../sallyport.ts'

const BOOT = new URL('boot.sh', import.meta.url).pathname

/** Whether a systemd can be booted here: root, Linux with cgroup2, and the Debian package. */
export const canBoot = process.geteuid?.() === 0 && hasTool('systemd') && cgroups() !== undefined

/** A machine in namespaces of its own whose PID 1 is a real systemd. Its network is its own loopback. */
export interface Machine {
  /** Runs a shell script in there, as root; what it prints, and how it ended. */
  run(script: string): Promise<{ readonly code: number; readonly out: string }>
  /** The same, and it must not fail. */
  must(script: string): Promise<string>
  /** Everything in it ends, and nothing is left of it. */
  stop(): Promise<void>
}

interface Layout {
  /** What is /payload in there, by relative path: a file or directory to copy. */
  readonly files: Readonly<Record<string, string>>
  /** Run before systemd starts, in /etc/systemd/system. */
  readonly setup: string
}

/** Boots until all units of multi-user.target have been started, or have failed. */
export async function bootMachine({ files, setup }: Layout): Promise<Machine> {
  const base = mkdtempSync(join(tmpdir(), 'sallyport-systemd-'))
  const [scratch, payload] = [join(base, 'scratch'), join(base, 'payload')]
  for (const directory of [scratch, payload]) mkdirSync(directory, { mode: 0o755 })
  for (const [to, from] of Object.entries(files)) cpSync(from, join(payload, to), { recursive: true })
  writeFileSync(join(payload, 'setup.sh'), `set -eu\n${setup}\n`)
  chmodSync(base, 0o755)
  const group = mkdtempSync(join(cgroups() ?? '', 'sallyport-test-'))
  const flags = ['--fork', '--kill-child', '--pid', '--mount', '--ipc', '--uts', '--net', '--cgroup']
  const script = 'echo $$ > "$0/cgroup.procs" && exec unshare "$@"'
  const child = spawn('sh', ['-c', script, group, ...flags, 'bash', BOOT, scratch, payload])
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (said += text))
  const stop = async () => {
    await end(child)
    await removeGroup(group)
    rmSync(base, { recursive: true, force: true })
  }
  try {
    const init = await eventually(() => (child.exitCode === null ? initOf(child) : -1), 'the first process', 60_000)
    const run = (words: string) => inside(init, words)
    const isUp = async () => /^(?:running|degraded)$/m.test((await run('systemctl is-system-running')).out) || undefined
    await eventually(isUp, 'systemd to have started everything', 60_000)
    return { run, stop, must: async (words) => expectSuccess(words, await run(words)) }
  } catch (error) {
    await stop()
    throw new Error(`no systemd could be booted:\n${said}`, { cause: error })
  }
}

function expectSuccess(words: string, { code, out }: { readonly code: number; readonly out: string }): string {
  if (code !== 0) throw new Error(`${words}\nended with ${code}:\n${out}`)
  return out
}

/** systemd itself, as this side sees it: the one child of unshare, once that has become it. */
function initOf({ pid }: ChildProcess): number | undefined {
  const [init] = read(`/proc/${pid}/task/${pid}/children`).split(' ')
  return init && read(`/proc/${init}/cmdline`).startsWith('/lib/systemd/systemd\0') ? Number(init) : undefined
}

function inside(init: number, script: string): Promise<{ code: number; out: string }> {
  const args = ['-t', String(init), '-m', '-p', '-n', '-i', '-u', '-C', 'sh', '-c', `exec 2>&1; ${script}`]
  const env = { PATH: '/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8', SYSTEMD_PAGER: '' }
  return new Promise((resolve) =>
    execFile('nsenter', args, { env, maxBuffer: 1e8 }, (error, out) =>
      resolve({ code: error ? Number(error.code ?? -1) : 0, out }),
    ),
  )
}

/** With it, by --kill-child, its PID 1, and with that everything in there. */
function end(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve()
    child.once('close', () => resolve())
    child.kill('SIGKILL')
  })
}

/** A group can be removed when the last process in it is gone, which takes a moment. */
async function removeGroup(group: string): Promise<void> {
  await eventually(() => removeEmpty(group), `${group} to be empty`)
}

async function removeEmpty(group: string): Promise<true | undefined> {
  try {
    for (const entry of await readdir(group, { withFileTypes: true }))
      if (entry.isDirectory()) await removeEmpty(join(group, entry.name))
    await rmdir(group)
    return true
  } catch {
    return undefined
  }
}

/** Where cgroup2 is mounted: alone, or beside the older one. */
function cgroups(): string | undefined {
  const row = read('/proc/mounts')
    .split('\n')
    .find((line) => line.split(' ')[2] === 'cgroup2')
  return row?.split(' ')[1]
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

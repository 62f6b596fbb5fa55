import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { hasTool, pathOf } from './debian.ts'

/** Two hosts of our own with a cable between them: `pod`, where apps and Sallyport are, and `world`, with every other address. */
export interface Networks {
  readonly pod: Host
  readonly world: Host
  close(): void
}

/** A network namespace, with a view of the file system in which /etc/hosts is its own. */
export interface Host {
  /** The file of its network namespace. */
  readonly network: string
  /** What runs a program there, as this user. */
  as(uid: number): readonly string[]
  /** Replaces all packet rules. */
  rules(text: string): void
  /** Runs a program there as root, and returns what it prints. */
  run(program: string, ...args: readonly string[]): string
  /** Replaces /etc/hosts. */
  names(hosts: Readonly<Record<string, readonly string[]>>): void
}

/** Whether this machine lets us make some. `test.skipIf(!canMakeNetworks())`: with CI=true a skipped test fails the run. */
export function canMakeNetworks(): boolean {
  return process.platform === 'linux' && process.getuid?.() === 0 && hasTool('ip') && hasTool('nft')
}

const POD = { ipv4: '10.77.0.2', ipv6: 'fd77::2' }
const GATEWAY = { ipv4: '10.77.0.1', ipv6: 'fd77::1' }

/** Both go, with all that is in them, at `close`, or when this process ends. `directory`: for the hosts files. */
export async function makeNetworks(directory: string, addresses: readonly string[]): Promise<Networks> {
  const [inner, outer] = await Promise.all([startHolder(), startHolder()])
  const [pod, world] = [hostOf(inner, join(directory, 'pod-hosts')), hostOf(outer, join(directory, 'world-hosts'))]
  const ip = pathOf('ip')
  pod.run(ip, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(outer.pid))
  for (const [host, own] of [
    [pod, POD],
    [world, GATEWAY],
  ] as const) {
    host.run(ip, 'addr', 'add', `${own.ipv4}/24`, 'dev', 'eth0')
    host.run(ip, 'addr', 'add', `${own.ipv6}/64`, 'dev', 'eth0', 'nodad')
    for (const link of ['lo', 'eth0']) host.run(ip, 'link', 'set', link, 'up')
  }
  for (const address of addresses) world.run(ip, 'addr', 'add', address, 'dev', 'lo')
  pod.run(ip, 'route', 'add', 'default', 'via', GATEWAY.ipv4)
  pod.run(ip, '-6', 'route', 'add', 'default', 'via', GATEWAY.ipv6)
  return {
    pod,
    world,
    close() {
      for (const holder of [inner, outer]) holder.kill('SIGKILL')
    },
  }
}

/** A process that a pair of namespaces lives as long as. It ends with us: then there is nobody left to write to it. */
async function startHolder(): Promise<ChildProcess & { readonly pid: number }> {
  const holder = spawn('unshare', ['--net', '--mount', '--', 'sh', '-c', 'echo up; exec cat'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  await Promise.race([once(holder.stdout, 'data'), once(holder, 'error').then(([error]) => Promise.reject(error))])
  if (holder.pid === undefined) throw new Error('unshare did not start')
  return Object.assign(holder, { pid: holder.pid })
}

function hostOf({ pid }: { readonly pid: number }, hostsFile: string): Host {
  const enter = ['nsenter', `--target=${pid}`, '--net', '--mount', '--wd=/', '--']
  const run = (program: string, ...args: readonly string[]) => runs([...enter, program, ...args])
  writeFileSync(hostsFile, '', { mode: 0o644 })
  run('mount', '--bind', hostsFile, '/etc/hosts')
  return {
    network: `/proc/${pid}/ns/net`,
    as: (uid) => [...enter, 'setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--'],
    run,
    rules: (text) => void runs([...enter, pathOf('nft'), '-f', '-'], `flush ruleset\n${text}`),
    names(hosts) {
      const lines = Object.entries(hosts).flatMap(([name, at]) => at.map((address) => `${address} ${name}\n`))
      writeFileSync(hostsFile, lines.join(''))
    },
  }
}

function runs([program = '', ...args]: readonly string[], input = ''): string {
  return execFileSync(program, args, { input, encoding: 'utf8' })
}

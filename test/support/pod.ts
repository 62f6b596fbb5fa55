import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathOf } from './debian.ts'
import { type ClusterObjects, fillVolume, type Owners } from './kubelet-volumes.ts'
import { type Container, containersOf, type PodSpec } from './kubernetes-pod.ts'
import { hasKubernetesTools } from './kubernetes-tools.ts'
import { eventually } from './sallyport.ts'

/** Somewhere outside of the pod, which is at a name and an address in there. */
export interface Cable {
  readonly host: string
  /** Of the network of this pod alone: no packet leaves the machine. */
  readonly ip: string
  readonly port: number
  /** What listens there: on a port of this machine's loopback, or on a Unix socket, such as an `outlet` of another pod. */
  readonly to: number | string
}

/** A program in a container. */
export interface Program {
  readonly pid: number
  output(): string
  /** Exit code; null where a signal ended it. */
  readonly ended: Promise<number | null>
  signal(name: NodeJS.Signals): void
}

/** What a pod is made of here. `image`: a directory that is `/app` in there. */
export interface Plan {
  readonly spec: PodSpec
  readonly objects: ClusterObjects
  readonly image: string
  readonly cables: readonly Cable[]
  /** Files in the root of each container's image, by path. */
  readonly files?: Readonly<Record<string, string>>
}

/** The address that the kubelet, Prometheus and a Service use. */
export const POD_IP = '10.244.0.7'
const NODE_IP = '10.244.0.1'

/** Why a pod cannot be made here; undefined where it can. */
export const NO_POD = reasonAgainst()

function reasonAgainst(): string | undefined {
  const isRoot = process.getuid?.() === 0
  if (isRoot && hasKubernetesTools()) return undefined
  const reason = isRoot ? 'there is no kubectl' : 'the namespaces of a pod are root’s to make'
  process.stderr.write(`\nWARNING: tests that run a pod are skipped: ${reason}\n\n`)
  return reason
}

/** It ends with us: then there is nobody left to write to it. */
function startHolder(): ChildProcess {
  return spawn('unshare', ['--net', 'cat'], { stdio: ['pipe', 'ignore', 'ignore'] })
}

/**
 * A pod without a cluster: a network namespace of its own, another one for all that is outside of it, and for each container a mount namespace whose root is nothing but the
 * image, `/usr` of this machine and the volumes of the manifest, filled as the kubelet fills them. Programs run as the user that the
 * manifest says, without a capability. What it is not: cgroups, seccomp, a container runtime.
 */
export class Pod {
  readonly #plan: Plan
  readonly #directory = mkdtempSync(join(tmpdir(), 'sallyport-pod-'))
  /** What keeps the two networks. */
  readonly #inside = startHolder()
  readonly #outside = startHolder()
  readonly #children: ChildProcess[] = []
  readonly #servers: Server[] = []

  private constructor(plan: Plan) {
    this.#plan = plan
  }

  static async start(plan: Plan): Promise<Pod> {
    const pod = new Pod(plan)
    await pod.#lay()
    for (const { name } of plan.spec.volumes ?? []) pod.sync(name)
    return pod
  }

  /** What the kubelet does some time after a Secret or a ConfigMap has changed. */
  sync(volume: string, objects: ClusterObjects = this.#plan.objects): void {
    const { spec } = this.#plan
    const found = spec.volumes?.find(({ name }) => name === volume)
    if (!found) throw new Error(`the pod has no volume ${volume}`)
    const directory = this.#volume(volume)
    fillVolume(directory, found, objects, ownersOf(spec))
    for (const nested of nestedIn(spec, volume)) mkdirSync(join(directory, nested), { recursive: true })
  }

  /** Starts the program of a container as its manifest says, or another one in its place. */
  run(name: string, command?: readonly string[]): Program {
    const container = this.#container(name)
    const { argv, env } = this.#within(
      container,
      command ?? [...(container.command ?? ENTRYPOINT), ...(container.args ?? [])],
    )
    const child = spawn(argv[0] ?? '', argv.slice(1), { env, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#children.push(child)
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    return {
      pid: child.pid ?? 0,
      output: () => text,
      ended: new Promise((resolve) => child.once('close', (code) => resolve(code))),
      signal: (signal) => void child.kill(signal),
    }
  }

  /** Runs a program of the container to its end, as `kubectl exec` would; what it printed, both ways. */
  async exec(
    name: string,
    ...command: readonly string[]
  ): Promise<{ readonly code: number | null; readonly text: string }> {
    const program = this.run(name, command)
    const code = await program.ended
    return { code, text: program.output() }
  }

  /** The status that the kubelet gets from an HTTP probe; undefined where nobody answers. */
  async probe(handler: NonNullable<Container['livenessProbe']>, container: string): Promise<number | undefined> {
    const { path = '/', port = 0 } = handler.httpGet ?? {}
    const found = this.#container(container).ports?.find((one) => one.name === port)?.containerPort ?? port
    const curl = [
      'curl',
      '-s',
      '-o',
      '/dev/null',
      '-m',
      '5',
      '-w',
      '%{http_code}',
      `http://${POD_IP}:${String(found)}${path}`,
    ]
    const child = spawn('nsenter', [netOf(this.#outside), ...curl], { stdio: ['ignore', 'pipe', 'inherit'] })
    const chunks = await child.stdout.toArray()
    const status = Number(Buffer.concat(chunks).toString())
    return status === 0 ? undefined : status
  }

  async close(): Promise<void> {
    const children = [...this.#children, this.#inside, this.#outside]
    for (const child of children) child.kill('SIGKILL')
    for (const server of this.#servers) server.close()
    const running = children.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null)
    await Promise.all(running.map((one) => once(one, 'exit')))
    rmSync(this.#directory, { recursive: true, force: true })
  }

  #volume(name: string): string {
    return join(this.#directory, 'volumes', name)
  }

  #container(name: string): Container {
    const found = containersOf(this.#plan.spec).find(([, one]) => one.name === name)
    if (!found) throw new Error(`the pod has no container ${name}`)
    return found[1]
  }

  /** The network: the pod, the node, and beyond it what the cables lead to. */
  async #lay(): Promise<void> {
    const own = readNet('self')
    for (const { pid = 0 } of [this.#inside, this.#outside])
      await eventually(() => ([own, ''].includes(readNet(pid)) ? undefined : true), 'a network namespace')
    const { cables } = this.#plan
    const inside = (...args: readonly string[]) => execFileSync('nsenter', [netOf(this.#inside), pathOf('ip'), ...args])
    const outside = (...args: readonly string[]) =>
      execFileSync('nsenter', [netOf(this.#outside), pathOf('ip'), ...args])
    inside('link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'pod', 'netns', String(this.#outside.pid))
    inside('addr', 'add', `${POD_IP}/24`, 'dev', 'eth0')
    outside('addr', 'add', `${NODE_IP}/24`, 'dev', 'pod')
    for (const name of ['lo', 'eth0']) inside('link', 'set', name, 'up')
    for (const name of ['lo', 'pod']) outside('link', 'set', name, 'up')
    inside('route', 'add', 'default', 'via', NODE_IP)
    for (const ip of new Set(cables.map((cable) => cable.ip))) outside('addr', 'add', `${ip}/32`, 'dev', 'lo')
    const ends = cables.map(({ ip, port, to }, index) => {
      const path = typeof to === 'string' ? to : join(this.#directory, `cable-${index}`)
      return { listen: { host: ip, port }, to: { path }, port: typeof to === 'string' ? undefined : to }
    })
    for (const { to, port } of ends) if (port !== undefined) await this.#listen(to.path, port)
    await this.#pipe(ends)
  }

  /** A Unix socket of this machine that leads to a port of the pod's address, as a Service would. */
  async outlet(port: number): Promise<string> {
    const path = join(this.#directory, `outlet-${port}`)
    await this.#pipe([{ listen: { path }, to: { host: POD_IP, port } }])
    return path
  }

  /** Joins what listens outside of the pod to something else that can be had from there. */
  async #pipe(ends: readonly { readonly listen: object; readonly to: object }[]): Promise<void> {
    if (ends.length === 0) return
    const child = spawn('nsenter', [netOf(this.#outside), process.execPath, '-e', PIPE, JSON.stringify(ends)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.#children.push(child)
    await once(child.stdout, 'data')
  }

  async #listen(path: string, toPort: number): Promise<void> {
    const server = createServer((socket) => {
      const far = connect(toPort, '127.0.0.1')
      for (const one of [socket, far])
        one.on('error', () => undefined).on('close', () => (socket.destroy(), far.destroy()))
      socket.pipe(far).pipe(socket)
    })
    this.#servers.push(server)
    await once(server.listen(path), 'listening')
  }

  #within(container: Container, command: readonly string[]) {
    const root = mkdtempSync(join(this.#directory, `${container.name}-`))
    const { spec, image, cables, files = {} } = this.#plan
    const hosts = cables.map(({ ip, host }) => `${ip} ${host}\n`).join('')
    const seeds = Object.entries({ ...files, '/etc/hosts': `127.0.0.1 localhost\n${hosts}` }).map(
      ([path, text], index) => {
        const seed = `${root}.${index}`
        writeFileSync(seed, text)
        return `${seed}|${path}`
      },
    )
    const mounts = (container.volumeMounts ?? []).map(
      ({ name, mountPath, readOnly = false }) => `${this.#volume(name)}|${mountPath}|${readOnly ? 'ro' : 'rw'}`,
    )
    const context = { ...spec.securityContext, ...container.securityContext }
    const given = {
      ROOT: root,
      IMAGE: image,
      NODE: process.execPath,
      SEEDS: seeds.join('\n'),
      MOUNTS: mounts.join('\n'),
    }
    const script = ['unshare', '--mount', 'sh', '-euc', ROOTFS, 'sh', context.readOnlyRootFilesystem ? 'ro' : 'rw']
    const env = { ...given, ...envOf(container, this.#plan.objects), PATH: '/usr/sbin:/usr/bin:/sbin:/bin' }
    return { argv: ['nsenter', netOf(this.#inside), ...script, ...becoming(context, spec), ...command], env }
  }
}

/** As the image has it. */
const ENTRYPOINT: readonly string[] = JSON.parse(
  /^ENTRYPOINT (\[.*\])$/m.exec(readFileSync(new URL('../../Dockerfile', import.meta.url), 'utf8'))?.[1] ?? '[]',
)

const PIPE = `const net = require('node:net'), ends = JSON.parse(process.argv[1]); let open = 0
for (const { listen, to } of ends) net.createServer((socket) => {
  const far = net.connect(to)
  for (const one of [socket, far]) one.on('error', () => {}).on('close', () => { socket.destroy(); far.destroy() })
  socket.pipe(far).pipe(socket)
}).listen(listen, () => { if (++open === ends.length) console.log('open') })`

/** The root of a container: what is to be mounted comes by the environment, and does not stay in it. */
const ROOTFS = `mode=$1; shift
mount --make-rprivate /
mount -t tmpfs -o mode=755 rootfs "$ROOT"
for name in usr dev proc; do mkdir "$ROOT/$name"; mount --rbind "/$name" "$ROOT/$name"; done
for name in bin sbin lib lib64; do if [ -L "/$name" ]; then cp -a "/$name" "$ROOT/$name"; elif [ -d "/$name" ]; then mkdir "$ROOT/$name"; mount --bind "/$name" "$ROOT/$name"; fi; done
mkdir -p "$ROOT/app" "$ROOT/nodejs/bin" "$ROOT/etc" "$ROOT/run" "$ROOT/var/lib"
mount --bind "$IMAGE" "$ROOT/app"; mount -o remount,bind,ro "$ROOT/app"
: > "$ROOT/nodejs/bin/node"; mount --bind "$NODE" "$ROOT/nodejs/bin/node"
echo "$SEEDS" | while IFS='|' read -r from to; do mkdir -p "$(dirname "$ROOT$to")"; cp "$from" "$ROOT$to"; done
echo "$MOUNTS" | while IFS='|' read -r from to how; do
  [ -n "$from" ] || continue
  mkdir -p "$ROOT$to"; mount --bind "$from" "$ROOT$to"
  if [ "$how" = ro ]; then mount -o remount,bind,ro "$ROOT$to"; fi
done
if [ "$mode" = ro ]; then mount -o remount,ro "$ROOT"; fi
root=$ROOT
unset ROOT IMAGE NODE SEEDS MOUNTS
exec chroot "$root" "$@"`

function becoming(context: NonNullable<Container['securityContext']>, { securityContext }: PodSpec): readonly string[] {
  const { runAsUser = 0, runAsGroup = 0, capabilities } = context
  const { fsGroup } = securityContext ?? {}
  const kept = (capabilities?.add ?? []).map((name) => `+${name.toLowerCase()}`)
  const caps = ['-all', ...kept].join(',')
  const groups = fsGroup === undefined ? '--clear-groups' : `--groups=${fsGroup}`
  const user = ['setpriv', `--reuid=${runAsUser}`, `--regid=${runAsGroup}`, groups]
  return [...user, `--inh-caps=${caps}`, `--bounding-set=${caps}`, '--no-new-privs']
}

function ownersOf({ securityContext, ...spec }: PodSpec): Owners {
  const users = new Set(
    containersOf(spec).map(([, one]) => one.securityContext?.runAsUser ?? securityContext?.runAsUser ?? 0),
  )
  const [user] = users
  return { fsGroup: securityContext?.fsGroup, user: users.size === 1 ? user : undefined }
}

/** The kubelet makes the places of mounts that lie in another one. @see MakeNestedMountpoints */
function nestedIn(spec: PodSpec, volume: string): readonly string[] {
  const mounts = containersOf(spec).flatMap(([, { volumeMounts = [] }]) => volumeMounts)
  const own = mounts.filter(({ name }) => name === volume).map(({ mountPath }) => `${mountPath}/`)
  return own.flatMap((path) =>
    mounts
      .map(({ mountPath }) => mountPath)
      .filter((one) => one.startsWith(path))
      .map((one) => one.slice(path.length)),
  )
}

/** `$(NAME)` is a variable that stands before it. */
function envOf({ env = [] }: Container, { secrets }: ClusterObjects): Record<string, string> {
  const made: Record<string, string> = {}
  for (const { name, value, valueFrom } of env) {
    const { name: secret = '', key = '' } = valueFrom?.secretKeyRef ?? {}
    const text = valueFrom ? secrets[secret]?.[key] : value
    if (text === undefined) throw new Error(`CreateContainerConfigError: ${name} has no value`)
    made[name] = valueFrom ? text : text.replace(/\$\((\w+)\)/g, (whole, other: string) => made[other] ?? whole)
  }
  return made
}

function netOf({ pid }: ChildProcess): string {
  return `--net=/proc/${pid}/ns/net`
}

function readNet(pid: number | 'self'): string {
  try {
    return execFileSync('readlink', [`/proc/${pid}/ns/net`], { encoding: 'utf8' })
  } catch {
    return ''
  }
}

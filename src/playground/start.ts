import { readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import type { ApiOrders } from './api.ts'
import { readableLine } from './audit-line.ts'
import type { AuthorizationServerOrders } from './authorization-server.ts'
import { type Authority, makeAuthority } from './certificates.ts'
import { Child, type Program } from './child.ts'
import { guide } from './guide.ts'
import { type Plan, readPlan } from './plan.ts'
import { makeSecrets, type RunSecrets, removeScratch, writeScratch } from './scratch.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const CONFIG = join(ROOT, 'config/playground.yaml')
const SCRATCH = join(dirname(CONFIG), '.playground')
// As the settings have it.
const OWN_CA = join(SCRATCH, 'own-ca/ca.pem')

/** `npm start`: everything the first minute needs, until Ctrl-C. Exit code 0, or 1 when something ended by itself. */
async function play(stopped: AbortSignal): Promise<number> {
  const closers: (() => Promise<void>)[] = []
  try {
    await perform({ closers, children: [], stopped })
    return 0
  } catch (error) {
    if (stopped.aborted) return 0
    process.stderr.write(`\n${error instanceof Error ? error.message : String(error)}\nThe playground stops.\n`)
    return 1
  } finally {
    for (const close of closers.toReversed()) await close()
  }
}

interface Stage {
  /** What has been opened so far, and how to close it again. */
  readonly closers: (() => Promise<void>)[]
  readonly children: Child[]
  readonly stopped: AbortSignal
}

async function perform(stage: Stage): Promise<void> {
  const plan = await readPlan(shown(CONFIG))
  const secrets = makeSecrets()
  const authority = await makeAuthority('Sallyport playground')
  // They take the ports, and so find out about a playground that runs already, before anything of it is overwritten.
  await startServers(stage, { plan, secrets, authority })
  stage.closers.push(() => removeScratch(SCRATCH))
  await writeScratch(SCRATCH, secrets, authority.certPem)
  const ready = JSON.parse(await start(stage, sidecar()))
  process.stdout.write(guide({ ...sights(ready), ...plan, callerKey: secrets.callerKey, config: shown(CONFIG) }))
  await unlessOver(new Promise<never>(() => undefined), stage)
}

interface Props {
  readonly plan: Plan
  readonly secrets: RunSecrets
  readonly authority: Authority
}

async function startServers(stage: Stage, { plan, secrets, authority }: Props): Promise<void> {
  const { issuer, clientId, resource, scope, apiHost, apiPort } = plan
  const { hostname, port } = new URL(issuer)
  const login: AuthorizationServerOrders = {
    ...(await authority.issue([hostname])),
    port: Number(port),
    issuer,
    clientId,
    clientSecret: secrets.clientSecret,
    resource,
    scope,
  }
  const api: ApiOrders = {
    ...(await authority.issue([apiHost])),
    port: apiPort,
    issuer,
    audience: resource,
    caPem: authority.certPem,
  }
  await Promise.all([
    start(stage, {
      name: 'the authorization server',
      args: [fileOf('authorization-server')],
      cwd: ROOT,
      orders: login,
    }),
    start(stage, { name: 'the API', args: [fileOf('api')], cwd: ROOT, orders: api }),
  ])
}

/** The product itself, with the flags of its own first line. */
function sidecar(): Program {
  const [shebang = ''] = readFileSync(join(ROOT, 'src/cli.ts'), 'utf8').split('\n', 1)
  return {
    name: 'Sallyport',
    args: [...(shebang.match(/--\S+/g) ?? []), 'src/cli.ts', 'serve', '--config', 'config/playground.yaml'],
    cwd: ROOT,
    isHeard: true,
    onLine: (line) => {
      const shown = readableLine(line)
      if (shown !== undefined) process.stdout.write(`${shown}\n`)
    },
  }
}

/** Resolves with its first line. */
async function start(stage: Stage, program: Program): Promise<string> {
  const child = new Child(program)
  stage.closers.push(() => child.stop())
  stage.children.push(child)
  return unlessOver(child.firstLine, stage)
}

/** Waits, but not longer than all are alive and nobody wants to stop. @throws Error that says what ended */
function unlessOver<T>(step: Promise<T>, { children, stopped }: Stage): Promise<T> {
  const stop = new Promise<never>((_, reject) => {
    const end = () => reject(new Error('stopped'))
    if (stopped.aborted) end()
    else stopped.addEventListener('abort', end, { once: true })
  })
  const deaths = children.map(async ({ ended }) => Promise.reject(new Error(await ended)))
  return Promise.race([step, stop, ...deaths])
}

interface Ready {
  readonly listeners: readonly { readonly kind: string; readonly address: string }[]
  readonly admin: string
}

function sights({ listeners, admin }: Ready) {
  const addressOf = (kind: string) => listeners.find((one) => one.kind === kind)?.address ?? ''
  return {
    forward: addressOf('forward'),
    socket: shown(addressOf('reverse').slice('unix:'.length)),
    ownCa: shown(OWN_CA),
    admin,
  }
}

function fileOf(name: string): string {
  return join(import.meta.dirname, `${name}.ts`)
}

/** As the user's shell sees it, who may have called npm from below or from elsewhere. */
function shown(path: string): string {
  return relative(process.env['INIT_CWD'] ?? process.cwd(), path)
}

/** A terminal's Ctrl-C comes twice, once more by way of npm, so that a second signal means nothing. */
function abortOnSignals(): AbortSignal {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => stop.abort())
  // Nobody reads any more: `npm start | head`.
  process.stdout.on('error', () => stop.abort())
  return stop.signal
}

process.exitCode = await play(abortOnSignals())

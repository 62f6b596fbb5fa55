import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { bundle } from '../../deploy/build.ts'
import { assemble, environment, inImage, processOf, ROOT, removeTree, stages } from './image-tree.ts'

let root: string

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'sallyport-tree-'))
  await assemble(root)
  writeFileSync(join(root, 'secret'), randomBytes(16).toString('hex'), { mode: 0o600 })
})

afterAll(() => removeTree(root))

/** A forward and a reverse door, admin, health, three connections: what a sidecar usually has. */
function settings(over: object = {}): object {
  const connection = (name: string, credential: object) => ({ hosts: [`${name}.example.com`], credential })
  const oauth = { kind: 'client-credentials', tokenEndpoint: 'https://login.example.com/token', clientId: 'app' }
  return {
    listeners: [
      { kind: 'forward', listen: '127.0.0.1:0' },
      { kind: 'reverse', listen: 'unix:crm.sock', connection: 'crm' },
    ],
    admin: { listen: 'unix:admin.sock' },
    health: { listen: '127.0.0.1:0' },
    allowlist: ['*.example.com'],
    callers: { app: { kind: 'api-key', key: { file: 'secret' } } },
    connections: {
      crm: connection('crm', { ...oauth, clientSecret: { file: 'secret' } }),
      erp: connection('erp', { ...oauth, clientSecret: { file: 'secret' } }),
      legacy: connection('legacy', { kind: 'static', secret: { file: 'secret' } }),
    },
    grants: ['crm', 'erp', 'legacy'].map((name) => ({ caller: 'app', connection: name })),
    ...over,
  }
}

interface Started {
  readonly child: ChildProcess
  readonly readyMs: number
  readonly health: string
}

/** As the entry point of the image starts it. */
async function serve(over?: object): Promise<Started> {
  const file = join(root, 'sallyport.yaml')
  writeFileSync(file, JSON.stringify(settings(over)), { mode: 0o600 })
  const args = processOf('image')
    .entrypoint.slice(1)
    .map((word) => inImage(word, root))
  const before = performance.now()
  const child = spawn(process.execPath, [...args, 'serve', '--config', file], {
    cwd: '/',
    env: environment(root),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const [line] = await once(createInterface({ input: child.stdout }), 'line', { signal: AbortSignal.timeout(20_000) })
  return { child, readyMs: performance.now() - before, ...JSON.parse(line) }
}

function memoryMiB(pid: number | undefined, what: 'Rss' | 'Private_Dirty'): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  return Number(new RegExp(`^${what}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) / 1024
}

const filesOf = (directory: string) => readdirSync(join(root, directory)).sort()

test('whoever is in the container by exec names no settings: those that the image serves are meant', () => {
  const command =
    stages()
      .find(({ name }) => name === 'image')
      ?.lines.find((line) => line.startsWith('CMD ')) ?? ''
  const { env, entrypoint } = processOf('image')
  expect(JSON.parse(command.slice(4)).at(-1)).toBe(env['SALLYPORT_CONFIG'])
  const args = [...entrypoint.slice(1).map((word) => inImage(word, root)), 'check']
  const { status, stderr } = spawnSync(process.execPath, args, { env: environment(root), encoding: 'utf8' })
  expect([status, stderr]).toEqual([2, expect.stringContaining(env['SALLYPORT_CONFIG'] ?? 'none')])
})

test('the image has all that the build makes for it: no source map, no shell script, and nothing else', () => {
  const made = filesOf('build/src/dist').filter((name) => !name.endsWith('.map') && name !== 'sallyport')
  expect(filesOf('image/app').filter((name) => name !== 'compile-cache')).toEqual(made)
  expect(made).toEqual(expect.arrayContaining(['sallyport.mjs', 'sqlite-worker.mjs', 'licenses.txt', 'sbom.cdx.json']))
})

test('what the build stage needs of deploy/ gets through .dockerignore', () => {
  const ignore = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n')
  const files = readdirSync(join(ROOT, 'deploy'), { withFileTypes: true }).filter((one) => one.isFile())
  const needed = files.map(({ name }) => `!deploy/${name}`).filter((line) => !line.endsWith('.md'))
  expect(ignore).toEqual(expect.arrayContaining(needed))
})

test('what we add to the base image is small, soon ready, and small while idle', async () => {
  const tar = execFileSync('tar', ['-C', join(root, 'image'), '-c', 'app'], { maxBuffer: 2 ** 28 })
  const sizeMiB = gzipSync(tar).length / 2 ** 20
  const { child, readyMs } = await serve()
  const cpuMs = Number(readFileSync(`/proc/${child.pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6
  const [rss, dirty] = [memoryMiB(child.pid, 'Rss'), memoryMiB(child.pid, 'Private_Dirty')]
  process.stdout.write(
    `image: ${sizeMiB.toFixed(1)} MiB as tar.gz; ready after ${readyMs.toFixed(0)} ms, ${cpuMs.toFixed(0)} of them on a core; idle ${rss.toFixed(0)} MiB resident, ${dirty.toFixed(0)} private and dirty\n`,
  )
  // 1.4 measured; the goal for all of the image but Node is 90.
  expect(sizeMiB).toBeLessThan(5)
  // 75 to 77, and 28 to 29, measured. Files of Node count in the first number; the second is the process's own.
  expect(rss).toBeLessThan(85)
  expect(dirty).toBeLessThan(36)
  // 260 to 310 measured. How long that takes on a machine that others use, too, says nothing: it is printed.
  expect(cpuMs).toBeLessThan(900)
})

test('the start reads the compile cache that the image brings along, for every file it loads', () => {
  const args = processOf('image')
    .entrypoint.slice(1)
    .map((word) => inImage(word, root))
  const file = join(root, 'sallyport.yaml')
  writeFileSync(
    file,
    JSON.stringify(settings({ listeners: [{ kind: 'forward', listen: 'unix:/nowhere/at/all/x.sock' }] })),
  )
  const env = { ...environment(root), NODE_DEBUG_NATIVE: 'COMPILE_CACHE' }
  // It ends because that socket cannot be opened: all that a start loads is loaded by then.
  const { stderr, status } = spawnSync(process.execPath, [...args, 'serve', '--config', file], {
    env,
    encoding: 'utf8',
    timeout: 20_000,
  })
  expect(status).toBe(2)
  const asked = [...stderr.matchAll(/V8 code cache for ESM (\S+\/app\/\S+\.mjs) was (\w+)/g)]
  expect(asked.length).toBeGreaterThan(10)
  expect(asked.filter(([, , how]) => how !== 'accepted')).toEqual([])
})

test('what a setting asks for is found in the image: an authority, a store, the admin door', async () => {
  const { child } = await serve({ ca: 'ephemeral', store: { kind: 'sqlite', path: 'store.db' } })
  const script = `http.get({ socketPath: ${JSON.stringify(join(root, 'admin.sock'))}, path: '/readyz' }, (answer) =>
    answer.pipe(process.stdout)).on('error', () => process.exit(1))`
  const asked = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8', timeout: 10_000 })
  expect(JSON.parse(asked.stdout)).toMatchObject({ status: 'ok', store: expect.anything() })
  const ended = once(child, 'close')
  child.kill('SIGTERM')
  expect(await ended).toEqual([0, null])
})

test('the check of health that the Dockerfile names says yes while it serves, and no when it does not', async () => {
  const { child, health } = await serve()
  const [, command = '[]'] =
    /^#\s+(\["\/nodejs\/bin\/node", "-e".*\])$/m.exec(readFileSync(join(ROOT, 'Dockerfile'), 'utf8')) ?? []
  const [, ...args]: string[] = JSON.parse(command)
  const check = () =>
    spawnSync(
      process.execPath,
      args.map((word) => word.replace('127.0.0.1:15091', health)),
    ).status
  expect(check()).toBe(0)
  const ended = once(child, 'close')
  child.kill('SIGTERM')
  await ended
  expect(check()).toBe(1)
})

interface Bill {
  readonly serialNumber: string
  readonly components: readonly { readonly purl: string; readonly hashes?: readonly { readonly content: string }[] }[]
}

test('the bill of materials names what is in the bundle, as npm knows it, and is the same for the same source', async () => {
  const read = (text: string): Bill => JSON.parse(text)
  const text = readFileSync(join(root, 'image/app/sbom.cdx.json'), 'utf8')
  const ours = read(text)
  // Not with `--omit dev`, which in npm 11.19 leaves out what a development package needs, too: undici, zod, hono, jose.
  const args = ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only']
  const npm = read(execFileSync('npm', args, { cwd: ROOT, encoding: 'utf8', maxBuffer: 2 ** 26 }))
  const known = new Map(npm.components.map(({ purl, hashes }) => [purl, hashes?.[0]?.content]))
  for (const { purl, hashes } of ours.components) expect([purl, known.get(purl)]).toEqual([purl, hashes?.[0]?.content])
  const licensed = [...readFileSync(join(root, 'image/app/licenses.txt'), 'utf8').matchAll(/^(\S+) (\d\S+) \(.+\)$/gm)]
  expect(ours.components.map(({ purl }) => decodeURIComponent(purl)).sort()).toEqual(
    licensed.map(([, name, version]) => `pkg:npm/${name}@${version}`).sort(),
  )
  const other = mkdtempSync(join(tmpdir(), 'sallyport-tree-'))
  onTestFinished(() => removeTree(other))
  await bundle(other)
  expect(readFileSync(join(other, 'sbom.cdx.json'), 'utf8')).toBe(text)
})

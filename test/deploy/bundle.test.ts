import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Worker } from 'node:worker_threads'
import { Client } from 'undici'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { eventually } from '../support/sallyport.ts'
import { assemble, environment, stages } from './image-tree.ts'

const ROOT = new URL('../..', import.meta.url).pathname
const [SHEBANG = ''] = readFileSync(join(ROOT, 'src/cli.ts'), 'utf8').split('\n', 1)
const FLAGS = SHEBANG.match(/--\S+/g) ?? []
const KEY = randomBytes(16).toString('hex')
const SECRET = randomBytes(16).toString('hex')

/** The image's file tree, as far as it goes without Docker: /app as it is copied, /etc/sallyport as it is mounted. */
let image: string
let app: string
let upstream: Server
let settings: object

beforeAll(async () => {
  image = mkdtempSync(join(tmpdir(), 'sallyport-image-'))
  upstream = createServer((request, response) => response.end(String(request.headers.authorization)))
  await once(upstream.listen(0, '127.0.0.1'), 'listening')
  await assemble(image)
  app = join(image, 'image/app')
  writeSettings((upstream.address() as AddressInfo).port) // a TCP server has an address of this form
})

afterAll(() => {
  upstream.close()
  chmodSync(app, 0o755)
  rmSync(image, { recursive: true, force: true })
})

test('the bundle, alone with Node and read-only, opens its doors, challenges, injects, and ends on SIGTERM', async () => {
  const before = tree(app)
  chmodSync(app, 0o555)
  const started = performance.now()
  const { child, listeners } = await serve()
  const startMs = performance.now() - started
  expect(listeners).toEqual([{ kind: 'reverse', address: `unix:${join(image, 'api.sock')}` }])

  expect((await ask({})).statusCode).toBe(401)
  const answer = await ask({ authorization: `Bearer ${KEY}` })
  expect([answer.statusCode, await answer.body.text()]).toEqual([200, `Bearer ${SECRET}`])

  const rssMb = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) / 1024
  console.log(
    `the bundle with its compile cache: ready after ${startMs.toFixed(0)} ms, ${rssMb.toFixed(0)} MB resident`,
  )
  const ended = once(child, 'close')
  child.kill('SIGTERM')
  expect(await ended).toEqual([0, null])
  expect(existsSync(join(image, 'api.sock'))).toBe(false)
  expect(tree(app)).toEqual(before)
})

test('what cannot be loaded at the first question to the admin door is told, and loaded at a later one', async () => {
  const { child, admin, heard } = await serve({ admin: { listen: 'unix:admin.sock' } })
  const [away, socketPath] = [`${app}.away`, join(image, 'admin.sock')]
  expect(admin).toBe(`unix:${socketPath}`)
  const question = async () => {
    const client = new Client('http://localhost', { socketPath, pipelining: 0 })
    return (await client.request({ method: 'GET', path: '/v1/whoami' })).statusCode
  }
  renameSync(app, away)
  try {
    await expect(question()).rejects.toThrow()
  } finally {
    renameSync(away, app)
  }
  const says = /ERR_MODULE_NOT_FOUND.*the admin API could not answer/
  await eventually(() => heard.find((line) => says.test(line)), 'why there was no answer')
  expect(await question()).toBeLessThan(500)
  const ended = once(child, 'close')
  child.kill('SIGTERM')
  expect(await ended).toEqual([0, null])
})

test('the compile cache that serving left behind is accepted by the next run of another verb', () => {
  const args = [...FLAGS, join(app, 'sallyport.mjs'), 'check', '--config', join(image, 'sallyport.yaml')]
  const env = { ...imageEnv(), NODE_DEBUG_NATIVE: 'COMPILE_CACHE' }
  const { stderr } = spawnSync(process.execPath, args, { cwd: '/', env, encoding: 'utf8' })
  expect(stderr).toMatch(/V8 code cache for ESM \S+\/app\/sallyport-main\.mjs was accepted/)
})

test('an old Node says that it is one, instead of a SyntaxError', () => {
  const old = "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '22.3.0' } })"
  const args = ['--import', `data:text/javascript,${encodeURIComponent(old)}`, join(app, 'sallyport.mjs'), '--help']
  expect(spawnSync(process.execPath, args, { env: imageEnv(), encoding: 'utf8' })).toMatchObject({
    status: 2,
    stdout: '',
    stderr: 'sallyport needs Node 26.10 or later: this one is 22.3.0\n',
  })
})

test('the command that lies beside the bundle starts it, with the Node of PATH', () => {
  const bin = join(image, 'bin')
  mkdirSync(bin)
  symlinkSync('/usr/bin/dirname', join(bin, 'dirname'))
  const start = () =>
    spawnSync(join(image, 'build/src/dist/sallyport'), ['--help'], { env: { PATH: bin }, encoding: 'utf8' })
  expect(start()).toMatchObject({
    status: 2,
    stderr: 'sallyport needs Node 26.10 or later: put that Node on PATH\n',
  })
  symlinkSync(process.execPath, join(bin, 'node'))
  expect(start()).toMatchObject({ status: 0, stdout: expect.stringMatching(/^Usage: sallyport /) })
})

test('the thread of an SQLite store starts from its own file, which the image has', async () => {
  const worker = new Worker(join(app, 'sqlite-worker.mjs'), { workerData: { path: ':memory:', setUp: '', timeout: 1 } })
  const answered = once(worker, 'message')
  worker.postMessage({ id: 1, work: { sql: 'select ? as n', parameters: [7] } }, [])
  expect(await answered).toEqual([{ id: 1, rows: [{ n: 7 }], changes: 0 }])
  worker.postMessage('close', [])
  expect(await once(worker, 'exit')).toEqual([0])
})

test('beside the bundle lie the licenses of everything in it, and a source map that the bundle does not point to', () => {
  const { dependencies }: { dependencies: Record<string, string> } = JSON.parse(
    readFileSync(join(ROOT, 'package.json'), 'utf8'),
  )
  const licenses = readFileSync(join(app, 'licenses.txt'), 'utf8')
  for (const name of ['undici', 'zod', 'http-proxy']) expect(licenses).toContain(`${name} ${dependencies[name]} (MIT)`)
  expect(existsSync(join(image, 'build/src/dist/sallyport-main.mjs.map'))).toBe(true)
  expect(readFileSync(join(app, 'sallyport-main.mjs'), 'utf8')).not.toContain('sourceMappingURL=sallyport')
})

test('the image starts Node with the flags of src/cli.ts, as a user that is not root, with no shell in between', () => {
  const [warm, last] = stages()
    .slice(1)
    .map(({ lines }) => lines)
  const entrypoint = ['/nodejs/bin/node', ...FLAGS, '/app/sallyport.mjs']
  expect(last).toContain(`ENTRYPOINT ${JSON.stringify(entrypoint).replaceAll(',', ', ')}`)
  // With other flags the cache would be another one.
  const warming = JSON.stringify([...entrypoint.slice(0, -1), '/app/warm.mjs']).replaceAll(',', ', ')
  expect(warm).toContain(`RUN ${warming}`)
  for (const lines of [warm, last]) expect(lines).toContain('USER 65532:65532')
  expect(last?.filter((line) => /^(RUN|ADD) /.test(line))).toEqual([])
  expect(readFileSync(join(ROOT, '.dockerignore'), 'utf8')).toMatch(/^\*$/m)
})

function writeSettings(port: number): void {
  settings = {
    listeners: [{ kind: 'reverse', listen: 'unix:api.sock', connection: 'api' }],
    allowlist: ['api.test'],
    callers: { app: { kind: 'api-key', key: { file: 'app-key' } } },
    connections: {
      api: {
        hosts: ['api.test'],
        port,
        allowPrivate: ['127.0.0.0/8'],
        unsafeAllowPlaintextUpstream: true,
        credential: { kind: 'static', secret: { file: 'secret' } },
      },
    },
    grants: [{ caller: 'app', connection: 'api' }],
    dns: { hosts: { 'api.test': ['127.0.0.1'] } },
  }
  const files = { 'app-key': KEY, secret: SECRET, 'sallyport.yaml': JSON.stringify(settings) }
  for (const [name, body] of Object.entries(files)) writeFileSync(join(image, name), body, { mode: 0o600 })
}

function imageEnv(): NodeJS.ProcessEnv {
  return environment(image)
}

interface Serving {
  readonly child: ChildProcess
  readonly listeners: unknown
  readonly admin: unknown
  /** What it has logged so far. */
  readonly heard: readonly string[]
}

/** `more`: settings beside the usual ones. */
async function serve(more: object = {}): Promise<Serving> {
  const file = join(image, 'serving.yaml')
  writeFileSync(file, JSON.stringify({ ...settings, ...more }), { mode: 0o600 })
  const args = [...FLAGS, join(app, 'sallyport.mjs'), 'serve', '--config', file]
  const child = spawn(process.execPath, args, { cwd: '/', env: imageEnv(), stdio: ['ignore', 'pipe', 'pipe'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const heard = new Array<string>()
  for (const input of [child.stdout, child.stderr]) createInterface({ input }).on('line', (line) => heard.push(line))
  const ready = () => heard.find((line) => line.includes('"msg":"ready"'))
  return { child, heard, ...JSON.parse(await eventually(ready, 'the bundle to be ready')) }
}

async function ask(headers: Record<string, string>) {
  const client = new Client('http://localhost', { socketPath: join(image, 'api.sock'), pipelining: 0 })
  return client.request({ method: 'GET', path: '/v1', headers })
}

function tree(directory: string): string[] {
  return readdirSync(directory, { recursive: true }).map(String).sort()
}

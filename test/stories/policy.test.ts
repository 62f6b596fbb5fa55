import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeAuthority } from '../support/certificates.ts'
import { sendRaw } from '../support/raw-client.ts'
import {
  eventually,
  privateDirectory,
  type Running,
  remove,
  runCli,
  startSallyport,
  writeSecret,
} from '../support/sallyport.ts'
import { OK, type RawUpstream, startUpstream } from '../support/upstream.ts'

/** From what was asked to settings that let it through, and back: `policy suggest`, then `policy replay`. */
let sallyport: Running
let upstream: RawUpstream
const directory = privateDirectory()
const config = join(directory, 'sallyport.yaml')
const candidate = join(directory, 'candidate.yaml')
const key = randomBytes(24).toString('hex')
let stored = ''

beforeAll(async () => {
  const authority = await makeAuthority()
  upstream = await startUpstream(() => OK, await authority.issue(['api.crm.test', 'a.files.test']))
  writeSecret(directory, 'ca.pem', authority.certPem)
  for (const name of ['crm.secret', 'sealing.key']) writeSecret(directory, name, randomBytes(32).toString('hex'))
  writeSecret(directory, 'checkout', key)
  const reached = { port: upstream.port, allowPrivate: ['127.0.0.0/8'], tls: { ca: { file: 'ca.pem' } } }
  const credential = { kind: 'static', secret: { file: 'crm.secret' } }
  sallyport = await startSallyport(directory, {
    listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }],
    admin: { listen: 'unix:admin.sock' },
    ca: 'ephemeral',
    store: { kind: 'sqlite', path: 'state/sallyport.db', key: { file: 'sealing.key' } },
    audit: { sinks: [{ kind: 'store' }] },
    allowlist: { hosts: ['api.crm.test', 'never.test'], mode: 'report' },
    callers: { checkout: { kind: 'api-key', key: { file: 'checkout' } } },
    connections: {
      crm: { hosts: ['api.crm.test'], ...reached, credential },
      files: { hosts: ['*.files.test'], ...reached, credential: { kind: 'none' } },
      blobs: { hosts: ['blobs.test'], ...reached, credential },
      never: { hosts: ['never.test'], credential: { kind: 'none' } },
    },
    grants: [
      { caller: 'checkout', connection: 'crm', rules: [{ methods: ['GET'] }], until: '2099-01-01T00:00:00Z' },
      { caller: 'checkout', connection: 'never' },
    ],
    dns: {
      hosts: {
        'api.crm.test': ['127.0.0.1'],
        'a.files.test': ['127.0.0.1'],
        'inside.test': ['127.0.0.1'],
        'blobs.test': ['127.0.0.1'],
      },
    },
  })
  stored = (await sp('caller', 'add', 'batch')).stdout.trim()
  await sp('grant', 'files', '--to', 'batch', '--methods', 'GET')
  for (const [method, target, as] of ASKS) await ask(method, target, as, as === 'batch' ? stored : key)
  // An answer does not wait for the row of its entry.
  await eventually(async () => {
    const rows = JSON.parse((await sp('audit', 'search', '--kind', 'ask', '--json')).stdout)
    return rows.length >= ASKS.length || undefined
  }, 'every ask to be in the store')
})

afterAll(async () => {
  await sallyport?.stop()
  await upstream?.close()
  remove(directory)
})

const API = `openapi: 3.1.0
servers: [ { url: "https://api.crm.test/v2" } ]
paths:
  /orders: { get: { operationId: listOrders } }
  /orders/{id}: { get: { operationId: getOrder } }
`

const ASKS = [
  ['GET', 'http://api.crm.test/v1/contacts/7', 'checkout'],
  ['PUT', 'http://API.crm.test./v1/contacts/7', 'checkout'],
  ['GET', 'http://a.files.test/a.js', 'checkout'],
  ['GET', 'http://blobs.test/b/1', 'checkout'],
  ['GET', 'http://inside.test/x', 'checkout'],
  ['GET', 'http://api.crm.test:9/v1', 'checkout'],
  ['GET', 'http://[::1]:9/', 'checkout'],
  ['GET', 'http://api.crm.test/v1/notes', 'batch'],
] as const

function ask(method: string, target: string, as: string, secret: string) {
  const proof = Buffer.from(`${as}:${secret}`).toString('base64')
  const host = /^(?:http:\/\/)?([^/]+)/.exec(target)?.[1] ?? ''
  const head = `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\nProxy-Authorization: Basic ${proof}\r\n`
  return sendRaw(sallyport.doors[0]?.address ?? '', `${head}Content-Length: 0\r\nConnection: close\r\n\r\n`)
}

function sp(...args: readonly string[]) {
  return runCli([...args, '--config', config])
}

async function replayed(yaml: string) {
  writeFileSync(candidate, yaml)
  const { code, stdout, stderr } = await sp('policy', 'replay', '--candidate', candidate, '--json')
  return { code, stderr, found: JSON.parse(stdout || '{}') }
}

test('the whole of what passed is settings by which what had passed passes, and of the rest it says why not', async () => {
  const { stdout, code } = await sp('policy', 'suggest', '--whole')
  expect(code).toBe(0)
  const { found } = await replayed(stdout)
  const denied = found.newlyDenied.map(({ host }: { host: string }) => host)
  expect(denied).toEqual(['inside.test', '[::1]'])
  expect(stdout).toContain('# Not in here: "inside.test: no connection can be suggested (address-not-allowed). ')
  expect(stdout).toContain('allowPrivate')
  expect(stdout).toContain('# Not in here: "checkout asks for [::1], which is an address')
  expect(stdout).toContain('# Not in here: "grants[1] of checkout for never, which nobody needed"')
  expect(stdout).toContain('until: "2099-01-01T00:00:00.000Z"')
})

test('a host that a connection covers, by a wildcard too, gets no other one: what is missing is told', async () => {
  const { stdout } = await sp('policy', 'suggest')
  expect(stdout).not.toContain('connections:')
  expect(stdout).toContain('# Missing today: "a.files.test is not on the allowlist"')
  expect(stdout).toContain('"blobs.test is not on the allowlist, and blobs injects a credential there"')
  expect(stdout).toContain('# Missing today: "checkout does not have USE CONNECTION on files"')
})

test('by the whole of what was refused, beside what is there, the refusals are gone, and nothing else changes', async () => {
  const { stdout } = await sp('policy', 'suggest', '--refused', '--whole')
  const { found } = await replayed(stdout)
  expect(found.newlyDenied).toEqual([])
  expect(found.newlyAllowed).toMatchObject([{ method: 'PUT', host: 'api.crm.test', connection: 'crm' }])
  const credentialed = found.newlyCredentialed.map(({ host }: { host: string }) => host)
  expect(credentialed.toSorted()).toEqual(['api.crm.test', 'blobs.test'])
  expect(stdout).toContain('cures port-not-allowed. Ask for http:// without a port')
  expect(stdout).toContain('"mode": "report"')
})

test('what a caller of the store lacks is a command, which does it', async () => {
  const { stdout } = await sp('policy', 'suggest', '--refused')
  const line = stdout.split('\n').find((one) => one.includes('sallyport grant')) ?? ''
  expect(line).toBe(
    '# For a caller that is not in the settings: sallyport grant crm --to batch --methods GET --paths /v1/notes',
  )
  expect((await sp(...line.slice(line.indexOf('grant crm')).split(' '))).code).toBe(0)
  expect((await ask('GET', 'http://api.crm.test/v1/notes', 'batch', stored)).status).toBe(200)
  expect((await sp('policy', 'suggest', '--refused')).stdout).not.toContain('sallyport grant')
})

test('--whole needs a file to put it into', async () => {
  const { code, stderr } = await runCli(['policy', 'suggest', '--whole', '--admin', `unix:${directory}/admin.sock`])
  expect([code, stderr]).toEqual([expect.any(Number), expect.stringContaining('use --config FILE with --whole')])
})

test('operations of a description become the rules of a grant, and the sidecar is told no file', async () => {
  const file = writeSecret(directory, 'crm-api.yaml', API)
  const operations = ['--operations', 'listOrders,getOrder']
  const { code, stdout } = await sp('grant', 'crm', '--to', 'batch', '--openapi', file, ...operations)
  expect([code, stdout]).toEqual([0, expect.stringContaining('(GET /v2/orders; GET /v2/orders/*)')])
  const statuses = await Promise.all(
    ['/v2/orders', '/v2/orders/7', '/v2/orders/7/lines'].map((path) =>
      ask('GET', `http://api.crm.test${path}`, 'batch', stored),
    ),
  )
  expect(statuses.map(({ status }) => status)).toEqual([200, 200, 403])
})

test.each([
  [
    'an operation that is not there',
    ['--openapi', 'crm-api.yaml', '--operations', 'nope'],
    'use the id of an operation',
  ],
  ['no operations', ['--openapi', 'crm-api.yaml'], '--operations ID,ID'],
  ['empty operations', ['--openapi', 'crm-api.yaml', '--operations', ','], '--operations ID,ID'],
  ['methods beside', ['--openapi', 'crm-api.yaml', '--operations', 'a', '--methods', 'GET'], 'operations say both'],
  ['a pipe', ['--openapi', 'pipe', '--operations', 'a'], 'no regular file'],
  ['no file', ['--openapi', 'missing.yaml', '--operations', 'a'], 'cannot be read (ENOENT)'],
])('nothing is granted by %s', async (_what, flags, said) => {
  writeSecret(directory, 'crm-api.yaml', API)
  if (flags.includes('pipe')) execFileSync('mkfifo', [join(directory, 'pipe')])
  const { code, stdout, stderr } = await runCli(['grant', 'crm', '--to', 'batch', '--config', config, ...flags], {
    cwd: directory,
  })
  expect([code === 0, stdout, stderr]).toEqual([false, '', expect.stringContaining(said)])
})

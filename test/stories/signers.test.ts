import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { request } from '@octokit/request'
import { jwtVerify } from 'jose'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { askDoor } from '../admin/door.ts'
import { type GithubStandIn, startGithub } from '../support/github.ts'
import { isGone } from '../support/processes.ts'
import {
  type Quirk,
  type QuirkIssuer,
  type RecordedRequest,
  startQuirkIssuer,
  tokenAnswer,
} from '../support/quirk-issuer.ts'
import { open, type RawAnswer, sendRaw, WHOLE_ANSWER } from '../support/raw-client.ts'
import { eventually, type Running, remove, runCli, startSallyport, writeSecret } from '../support/sallyport.ts'
import { type RawUpstream, startUpstream } from '../support/upstream.ts'
import { authority, CALLER_KEY, CREDENTIAL, connectionTo, crmDirectory, crmSettings, doorOf, PROOF } from './crm.ts'

/** Sources that sign, run a program, or ask through another connection: in a running sidecar, and seen from the upstream. */
const KEY = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' })
const SECRET_ID = `secret-id-of-${CREDENTIAL}`

let github: GithubStandIn
let issuer: QuirkIssuer
let upstream: RawUpstream
let sallyport: Running
let directory: string
/** What the workspace says to a request for a token. */
let workspace: (request: RecordedRequest) => Quirk

beforeAll(async () => {
  github = await startGithub({
    identity: await authority.issue(['api.github.test']),
    appId: '12345',
    privateKey: KEY,
    installationId: 67890,
    owner: 'acme',
    repositories: ['site', 'docs'],
    permissions: { contents: 'read' },
  })
  issuer = await startQuirkIssuer(await authority.issue(['login.test']))
  issuer.answer((asked) =>
    asked.target === '/token'
      ? tokenAnswer({ access_token: `workspace-${mintsAt('/token').length}` })
      : workspace(asked),
  )
  upstream = await startUpstream(undefined, await authority.issue(['*.crm.test']))
  directory = crmDirectory()
  writeSecret(directory, 'app.pem', KEY)
  writeSecret(directory, 'secret-id', SECRET_ID)
  writeSecret(directory, 'get-token', `#!/bin/sh\necho '{"token":"printed-1"}'\n`)
  sallyport = await startSallyport(directory, settings())
})

beforeEach(() => {
  workspace = () => ({ body: { token: `database-${mintsAt('/ws/mint').length}`, expire_time: '3600s' } })
})

afterAll(async () => {
  await sallyport?.stop('SIGKILL')
  if (directory) remove(directory)
  await Promise.all([github?.stop(), issuer?.stop(), upstream?.close()])
})

function settings(): object {
  const trust = { tls: { ca: { file: 'ca.pem' } }, allowPrivate: ['127.0.0.0/8'] }
  const to = (name: string, credential: object) => connectionTo(`${name}.crm.test`, upstream.port, { credential })
  const app = { appId: 12345, installationId: 67890, key: { file: 'app.pem' } }
  const connections = {
    github: connectionTo('api.github.test', github.port, {
      credential: {
        kind: 'github-app',
        ...app,
        ...trust,
        apiUrl: `https://api.github.test:${github.port}`,
        perRepository: true,
        owner: 'acme',
      },
    }),
    signed: to('signed', { kind: 'signed-jwt', key: { file: 'app.pem' }, claims: { iss: '12345' } }),
    printed: to('printed', { kind: 'exec', command: ['sh', join(directory, 'get-token')] }),
    workspace: connectionTo('login.test', issuer.port, {
      basePath: '/ws',
      credential: {
        kind: 'client-credentials',
        tokenEndpoint: `https://login.test:${issuer.port}/token`,
        clientId: 'app',
        clientSecret: { file: 'credential' },
        ...trust,
      },
    }),
    database: to('database', {
      kind: 'http-mint',
      connection: 'workspace',
      path: '/mint',
      body: { secret_id: '${id}' },
      secrets: { id: { file: 'secret-id' } },
      tokenPointer: '/token',
      expiryPointer: '/expire_time',
    }),
    again: to('again', { kind: 'http-mint', connection: 'workspace', path: '/mint', tokenPointer: '/token' }),
    late: to('late', { kind: 'http-mint', connection: 'workspace', path: '/mint', tokenPointer: '/token' }),
  }
  const names = Object.keys(connections)
  const hosts = ['api.github.test', 'login.test', ...names.map((name) => `${name}.crm.test`)]
  return crmSettings({
    port: upstream.port,
    settings: {
      listeners: [
        { kind: 'forward', listen: '127.0.0.1:0' },
        { kind: 'reverse', listen: '127.0.0.1:0', connections: ['github'] },
      ],
      admin: { listen: 'unix:admin.sock' },
      store: { kind: 'sqlite', path: 'store.db' },
      allowlist: hosts,
      connections,
      grants: names.map((connection) => ({ caller: 'checkout', connection })),
      dns: { hosts: Object.fromEntries(hosts.map((host) => [host, ['127.0.0.1']])) },
    },
  })
}

const mintsAt = (target: string) => issuer.requests.filter((one) => one.target === target)

function ask(name: string, on = sallyport): Promise<RawAnswer> {
  const head = `GET http://${name}.crm.test/${name} HTTP/1.1\r\nHost: ${name}.crm.test\r\n${PROOF}\r\n`
  return sendRaw(doorOf(on, 'forward'), head, { until: WHOLE_ANSWER })
}

/** The credential that came upstream in the latest request of a connection. */
function injected(name: string): string | undefined {
  const head = upstream.heads().findLast((one) => one.startsWith(`GET /${name} `)) ?? ''
  return /^authorization: Bearer (\S+)\r$/im.exec(head)?.[1]
}

/** GitHub's own client, which has nothing but the key of a caller. */
function octokit() {
  const baseUrl = `http://${doorOf(sallyport, 'reverse')}/github`
  return request.defaults({ baseUrl, headers: { authorization: `Bearer ${CALLER_KEY}` } })
}

test('octokit reads a repository through the sidecar, with a token for that repository alone', async () => {
  const { data } = await octokit()('GET /repos/{owner}/{repo}', { owner: 'acme', repo: 'site' })
  expect(data).toMatchObject({ full_name: 'acme/site', permissions: { contents: 'read' } })
  await octokit()('GET /repos/{owner}/{repo}', { owner: 'acme', repo: 'docs' })
  await octokit()('GET /repos/{owner}/{repo}', { owner: 'acme', repo: 'site' })
  expect(github.issued.map(({ repositories }) => repositories)).toEqual([['site'], ['docs']])
})

test.each([
  ['a repository of somebody else', { owner: 'evil', repo: 'site' }],
  ['a repository that the app is not installed for', { owner: 'acme', repo: 'secret' }],
])('octokit is refused %s, and nothing is injected', async (_what, where) => {
  const before = github.issued.length
  const error = await octokit()('GET /repos/{owner}/{repo}', where).catch((refusal: unknown) => refusal)
  expect(error).toMatchObject({ status: 502, response: { headers: { 'content-type': 'application/problem+json' } } })
  expect(github.issued).toHaveLength(before)
})

test('a JWT that is signed here is what comes upstream', async () => {
  expect((await ask('signed')).status).toBe(200)
  const { payload } = await jwtVerify(injected('signed') ?? '', createPublicKey(KEY), { algorithms: ['RS256'] })
  expect(payload).toMatchObject({ iss: '12345', jti: expect.any(String) })
})

test('what a program printed is what comes upstream', async () => {
  expect((await ask('printed')).status).toBe(200)
  expect(injected('printed')).toBe('printed-1')
})

test('a token mints a token: the endpoint is asked with the other connection’s, and what it gives is injected', async () => {
  expect((await ask('database')).status).toBe(200)
  expect(injected('database')).toBe('database-1')
  const [asked] = mintsAt('/ws/mint')
  expect(asked?.rawHeaders).toContain('Bearer workspace-1')
  expect(JSON.parse(asked?.body ?? '')).toEqual({ secret_id: SECRET_ID })
})

test('an endpoint that takes the token no more gets another one, once', async () => {
  const mints = mintsAt('/token').length
  workspace = ({ rawHeaders }) =>
    rawHeaders.includes(`Bearer workspace-${mints}`) ? { status: 401 } : { body: { token: 'again-1' } }
  expect((await ask('again')).status).toBe(200)
  expect(injected('again')).toBe('again-1')
  expect(mintsAt('/token')).toHaveLength(mints + 1)
})

test('what a caller may not reach it does not reach by being minted through', async () => {
  const head = `POST http://login.test:${issuer.port}/ws/mint HTTP/1.1\r\nHost: login.test\r\nContent-Length: 0\r\n\r\n`
  const { status } = await sendRaw(doorOf(sallyport, 'forward'), head, { until: WHOLE_ANSWER })
  expect(status).toBe(407)
})

test('a connection that is switched off mints for no other', async () => {
  const admin = `unix:${join(directory, 'admin.sock')}`
  const path = '/v1/connections/workspace/disable'
  expect((await askDoor(admin, { method: 'POST', path, key: undefined, body: { reason: 'leaked' } })).status).toBe(200)
  const before = issuer.requests.length
  const { status, text } = await ask('late')
  expect(status).toBe(503)
  expect(text).toContain('"credential-unavailable"')
  expect(issuer.requests).toHaveLength(before)
})

test('a program that is running when Sallyport stops ends with it, and so does what it has started', async () => {
  const own = crmDirectory()
  writeSecret(own, 'hang', `sleep 600 & echo $! > ${own}/child; echo $$ > ${own}/self; wait\n`)
  const credential = { kind: 'exec', command: ['sh', join(own, 'hang')], timeoutMs: 100_000 }
  const running = await startSallyport(
    own,
    crmSettings({ port: upstream.port, connection: { credential }, settings: { drainTimeoutMs: 200 } }),
  )
  try {
    const socket = open(doorOf(running, 'forward')).on('error', () => undefined)
    socket.write(`GET http://api.crm.test/ HTTP/1.1\r\nHost: api.crm.test\r\n${PROOF}\r\n`)
    const pids = await eventually(() => {
      const texts = ['child', 'self'].map((name) =>
        existsSync(join(own, name)) ? readFileSync(join(own, name), 'utf8') : '',
      )
      return texts.every((text) => text.endsWith('\n')) ? texts.map(Number) : undefined
    }, 'the program')
    expect(await running.stop()).toBe(0)
    await eventually(() => (pids.every(isGone) ? true : undefined), 'the end of both')
    socket.destroy()
  } finally {
    await running.stop('SIGKILL')
    remove(own)
  }
})

test('`check` refuses what cannot work: a program that is not there, and a way that leads back', async () => {
  const own = crmDirectory()
  const file = (credential: object) =>
    writeSecret(own, 'check.yaml', JSON.stringify(crmSettings({ port: 443, connection: { credential } })))
  const missing = await runCli(['check', '--config', file({ kind: 'exec', command: ['no-such-program-anywhere'] })])
  expect([missing.code, missing.stderr]).toEqual([
    2,
    expect.stringMatching(/credential\.command\[0\]: use the absolute path/),
  ])
  const itself = { kind: 'http-mint', connection: 'crm', path: '/', tokenPointer: '/token' }
  const circle = await runCli(['check', '--config', file(itself)])
  expect([circle.code, circle.stderr]).toEqual([2, expect.stringMatching(/this one would need itself, by crm/)])
  remove(own)
})

test('neither key nor secret nor token is in a line that was printed', () => {
  const [, line = ''] = KEY.split('\n')
  const tokens = ['printed-1', 'database-1', 'workspace-1', ...github.issued.map(({ token }) => token)]
  for (const secret of [line, SECRET_ID, CREDENTIAL, CALLER_KEY, ...tokens])
    expect(sallyport.output()).not.toContain(secret)
})

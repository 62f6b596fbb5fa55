import { generateKeyPairSync } from 'node:crypto'
import { createAppAuth } from '@octokit/auth-app'
import { request } from '@octokit/request'
import { Agent, fetch } from 'undici'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildSupply, sourceSettings } from '../../../src/credentials/registry.ts'
import { makeAuthority } from '../../support/certificates.ts'
import { type GithubStandIn, startGithub } from '../../support/github.ts'
import { loopback, makeSourceTools, theAuthority, theSecret } from '../../support/source-tools.ts'

/** GitHub's own client: what it takes is right, and what it gets we have to get too. */
const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' })
const APP = { appId: '12345', installationId: 67890 }

let github: GithubStandIn
let ca: string
let agent: Agent

beforeAll(async () => {
  const authority = await makeAuthority()
  ca = authority.certPem
  github = await startGithub({
    identity: await authority.issue(['login.test', 'localhost']),
    ...APP,
    privateKey: key,
    owner: 'acme',
    repositories: ['site', 'docs'],
    permissions: { contents: 'write', issues: 'read' },
  })
  agent = new Agent({ connect: { ca } })
})

afterAll(async () => {
  await agent?.close()
  await github?.stop()
})

function octokit() {
  const trusting = (url: string, options: object) => fetch(url, { ...options, dispatcher: agent })
  return request.defaults({ baseUrl: `https://localhost:${github.port}`, request: { fetch: trusting } })
}

function source(more: object = {}) {
  const made = makeSourceTools({ secret: key, ca })
  made.clock.jumpWall(Date.now() - made.clock.now())
  const apiUrl = `https://login.test:${github.port}`
  const settings = sourceSettings.parse({
    kind: 'github-app',
    ...APP,
    key: { file: 'app.pem' },
    apiUrl,
    allowPrivate: loopback,
    ...more,
  })
  return buildSupply({ ...settings, key: theSecret, tls: { ca: theAuthority } } as never, made.tools) // the same settings with other references
}

test('octokit takes the stand-in for GitHub, and our source gets the same of it', async () => {
  const app = createAppAuth({ ...APP, privateKey: key, request: octokit() })
  const narrowed = { repositories: ['docs'], permissions: { contents: 'read' as const } }
  const theirs = await app({
    type: 'installation',
    repositoryNames: narrowed.repositories,
    permissions: narrowed.permissions,
  })
  const ours = await source(narrowed).obtain()
  const [first, second] = github.issued
  expect(theirs.token).toBe(first?.token)
  expect(ours?.secret.reveal()).toBe(second?.token)
  expect({ ...second, token: '' }).toEqual({ ...first, token: '' })
  expect(Math.abs(Date.parse(theirs.expiresAt) - (ours?.expiresAt ?? 0))).toBeLessThan(3_000)
})

test('octokit sends what we have minted, and the stand-in knows it', async () => {
  const token = (await source({ repositories: ['site'] }).obtain())?.secret.reveal()
  const headers = { authorization: `token ${token}` }
  const { data } = await octokit()('GET /repos/{owner}/{repo}', { owner: 'acme', repo: 'site', headers })
  expect(data.full_name).toBe('acme/site')
  await expect(octokit()('GET /repos/{owner}/{repo}', { owner: 'acme', repo: 'docs', headers })).rejects.toMatchObject({
    status: 404,
  })
})

test('a clock that is wrong troubles octokit and us alike: both ask once more', async () => {
  github.advance(7_200_000)
  const before = github.asked.length
  const log = { warn: () => undefined, debug: () => undefined, info: () => undefined, error: () => undefined }
  const { hook } = createAppAuth({ ...APP, privateKey: key, request: octokit(), log })
  const hooked = octokit().defaults({ request: { hook } })
  await hooked('POST /app/installations/{installation_id}/access_tokens', { installation_id: APP.installationId })
  const theirs = github.asked.length - before
  await source().obtain()
  expect([theirs, github.asked.length - before - theirs]).toEqual([2, 2])
})

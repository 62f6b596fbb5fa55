import { generateKeyPairSync } from 'node:crypto'
import { inspect } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Purpose } from '../../../src/core/purpose.ts'
import { buildSupply, sourceSettings } from '../../../src/credentials/registry.ts'
import { makeAuthority } from '../../support/certificates.ts'
import { type GithubStandIn, startGithub } from '../../support/github.ts'
import { loopback, makeSourceTools, theAuthority, theSecret } from '../../support/source-tools.ts'

const newKey = () =>
  generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' })
const key = newKey()
const HOUR = 3_600_000

let github: GithubStandIn
let ca: string

beforeAll(async () => {
  const authority = await makeAuthority()
  ca = authority.certPem
  github = await startGithub({
    identity: await authority.issue(['login.test']),
    appId: '12345',
    privateKey: key,
    installationId: 67890,
    owner: 'acme',
    repositories: ['site', 'docs', '.github'],
    permissions: { contents: 'write', issues: 'read' },
  })
})

beforeEach(() => github.say(undefined))

afterAll(() => github.stop())

function setUp(more: object = {}, { secret = key }: { readonly secret?: string } = {}) {
  const made = makeSourceTools({ secret, ca })
  made.clock.jumpWall(Date.now() - made.clock.now())
  const settings = sourceSettings.parse({
    kind: 'github-app',
    appId: 12345,
    installationId: 67890,
    key: { file: 'app.pem' },
    apiUrl: `https://login.test:${github.port}`,
    allowPrivate: loopback,
    ...more,
  })
  const opened = { ...settings, key: theSecret, tls: { ca: theAuthority } }
  const supply = buildSupply(opened, made.tools)
  const ask = async (path = '/', caller?: string) => supply.obtain(purposeOf(path, caller))
  const fail = (path?: string) => ask(path).then(String, (error: unknown) => error)
  return { ...made, supply, ask, fail }
}

function purposeOf(path: string, name = 'ci'): Purpose {
  return { caller: { name, method: 'api-key' }, method: 'GET', path, fields: [] }
}

const latest = () => github.issued.at(-1)

describe('a token of an installation', () => {
  test('is had with the key of the app, lives as long as GitHub says, and is for all that is installed', async () => {
    const { ask, clock } = setUp()
    const credential = await ask()
    expect(credential?.secret.reveal()).toBe(latest()?.token)
    expect(latest()?.repositories).toEqual(['site', 'docs', '.github'])
    const lifetime = (credential?.expiresAt ?? 0) - clock.now()
    expect(lifetime).toBeGreaterThan(HOUR - 3_000)
    expect(lifetime).toBeLessThanOrEqual(HOUR + 1_000)
    expect(credential?.behind?.secret.reveal()).toBe(key)
  })

  test('is for the repositories and permissions of the settings, and no others', async () => {
    await setUp({ repositories: ['docs'], permissions: { contents: 'read' } }).ask()
    expect(latest()).toMatchObject({ repositories: ['docs'], permissions: { contents: 'read' } })
  })

  test('is kept until it is nearly over', async () => {
    const before = github.issued.length
    const { ask, clock } = setUp()
    await ask()
    clock.advance(2_000_000)
    await ask()
    expect(github.issued).toHaveLength(before + 1)
  })

  test('is asked for as GitHub wants it: with an agent, a version and JSON', async () => {
    await setUp().ask()
    const fields = github.asked.at(-1)?.map((text) => text.toLowerCase())
    for (const one of ['user-agent', 'x-github-api-version', 'application/vnd.github+json', 'application/json'])
      expect(fields).toContain(one)
  })
})

describe('a token for the repository of the path', () => {
  const narrow = { perRepository: true, owner: 'Acme' }

  test.each([
    ['/repos/acme/site', 'site'],
    ['/repos/acme/docs/contents/README.md', 'docs'],
    ['/repos/ACME/DOCS/issues', 'docs'],
    ['/repos/acme/.github/contents/a.yaml', '.github'],
    ['/acme/site.git/info/refs', 'site'],
    ['/acme/site/git-upload-pack', 'site'],
    ['/acme/docs.git/info/lfs/objects/batch', 'docs'],
  ])('%s is for %s alone', async (path, name) => {
    await setUp(narrow).ask(path)
    expect(latest()?.repositories).toEqual([name])
  })

  test('is another one for another repository, and the same for the same', async () => {
    const { ask } = setUp(narrow)
    const site = await ask('/repos/acme/site')
    const docs = await ask('/repos/acme/docs')
    expect((await ask('/repos/acme/site/issues'))?.secret.reveal()).toBe(site?.secret.reveal())
    expect(docs?.secret.reveal()).not.toBe(site?.secret.reveal())
  })

  test.each([
    ['the whole API', '/user'],
    ['an owner', '/repos/acme'],
    ['GraphQL', '/graphql'],
    ['somebody else’s repository of the same name', '/repos/evil/site'],
    ['somebody else’s by git', '/evil/site.git/info/refs'],
    ['a name in percent-encoding', '/repos/acme/s%69te'],
    ['a page of a repository, which is no git', '/acme/site/settings'],
  ])('%s gets none, and GitHub is not asked', async (_what, path) => {
    const before = github.asked.length
    expect(await setUp(narrow).fail(path)).toMatchObject({ code: 'credential-failed' })
    expect(github.asked).toHaveLength(before)
  })

  test('one that is not among those of the settings gets none', async () => {
    const { ask, fail } = setUp({ ...narrow, repositories: ['Site'] })
    await ask('/repos/acme/site')
    expect(await fail('/repos/acme/docs')).toMatchObject({ reason: expect.stringContaining('not among') })
  })

  test('who names one repository after the other does not make us ask for ever', async () => {
    const before = github.asked.length
    const { ask, fail, clock } = setUp(narrow)
    for (let index = 0; index < 40; index++) await fail(`/repos/acme/guess-${index}`)
    expect(github.asked.length - before).toBe(20)
    expect(await fail('/repos/acme/site')).toMatchObject({ code: 'credential-unavailable', retryAfter: 60 })
    clock.advance(61_000)
    expect(await ask('/repos/acme/site')).toHaveProperty('secret')
  })

  test('who does that takes the tokens from nobody else', async () => {
    const { ask, fail } = setUp(narrow)
    for (let index = 0; index < 40; index++) await fail(`/repos/acme/guess-${index}`)
    expect(await ask('/repos/acme/site', 'other')).toHaveProperty('secret')
  })

  test('of GitHub Enterprise the path begins as the API does', async () => {
    const enterprise = { ...narrow, apiUrl: `https://login.test:${github.port}/api/v3` }
    github.say({ status: 500 })
    expect(await setUp(enterprise).fail('/repos/acme/site')).toMatchObject({
      reason: expect.stringContaining('no repository'),
    })
    expect(await setUp(enterprise).fail('/api/v3/repos/acme/site')).not.toMatchObject({
      reason: expect.stringContaining('no repository'),
    })
  })
})

describe('a clock that is wrong', () => {
  test.each([
    ['behind', 2 * HOUR],
    ['ahead', -2 * HOUR],
  ])('and %s is told, and GitHub’s own is used for once', async (_what, ms) => {
    const { ask, clock, events } = setUp()
    clock.jumpWall(-ms)
    const before = github.asked.length
    const credential = await ask()
    expect(github.asked).toHaveLength(before + 2)
    expect(credential?.expiresAt).toBeLessThanOrEqual(clock.now() + HOUR + 1_000)
    expect(credential?.expiresAt).toBeGreaterThan(clock.now() + HOUR - 10_000)
    expect(events).toMatchObject([
      { outcome: 'ok', warnings: [expect.stringContaining('set the clock of this machine')] },
    ])
  })

  test('is not tried twice where something else is wrong too', async () => {
    const { fail, clock } = setUp({ appId: 'another' })
    clock.jumpWall(-2 * HOUR)
    const before = github.asked.length
    await fail()
    expect(github.asked.length - before).toBeLessThanOrEqual(2)
  })
})

describe('a refusal injects nothing, says what to do, and is not asked for again', () => {
  test.each([
    ['a key that is not the app’s', {}, { secret: newKey() }, /answered 401: check appId and key/],
    ['an app that is none', { appId: 99 }, {}, /answered 401: check appId/],
    ['an installation that is none', { installationId: 1 }, {}, /answered 404: check installationId/],
    [
      'a repository that is not installed',
      { repositories: ['other'] },
      {},
      /answered 422: repositories or permissions/,
    ],
    [
      'a permission that it has not',
      { permissions: { members: 'read' } },
      {},
      /answered 422: repositories or permissions/,
    ],
  ])('%s', async (_what, more, with_, reason) => {
    const { fail } = setUp(more, with_)
    const before = github.asked.length
    expect(await fail()).toMatchObject({
      code: 'credential-failed',
      retryAfter: undefined,
      reason: expect.stringMatching(reason),
    })
    await fail()
    expect(github.asked).toHaveLength(before + 1)
  })

  test.each([
    ['a suspended installation', { status: 403 }, 'credential-failed', undefined],
    ['a rate limit', { status: 403, headers: { 'retry-after': '30' } }, 'credential-unavailable', 30],
    ['too many requests', { status: 429, headers: { 'retry-after': '30' } }, 'credential-unavailable', 30],
    ['too many requests without a word of when', { status: 429 }, 'credential-unavailable', 60],
    ['an outage', { status: 502 }, 'credential-unavailable', 1],
    ['a redirect', { status: 307, headers: { location: 'https://evil.test/' } }, 'credential-failed', undefined],
    ['a 200 in place of a 201', { status: 200 }, 'credential-failed', 1],
  ])('%s', async (_what, answer, code, retryAfter) => {
    github.say(answer)
    const { fail, events } = setUp()
    const problem = await fail()
    expect(problem).toMatchObject({ code, retryAfter })
    expect(inspect([problem, events], { depth: 9, showHidden: true })).not.toContain('GH_CANARY')
  })
})

test.each([
  ['an API in the clear', { apiUrl: 'http://api.github.test' }, 'apiUrl'],
  ['a final slash', { apiUrl: 'https://ghe.test/api/v3/' }, 'apiUrl'],
  ['paths that name repositories of anybody', { perRepository: true }, 'owner'],
  ['an owner that nothing is asked of', { owner: 'acme' }, 'owner'],
  ['an owner in a name', { repositories: ['acme/site'] }, 'repositories.0'],
  ['a permission that is none', { permissions: { contents: 'all' } }, 'permissions.contents'],
])('settings refuse %s', (_what, more, path) => {
  const settings = { kind: 'github-app', appId: 1, installationId: 2, key: { file: 'app.pem' }, ...more }
  expect(sourceSettings.safeParse(settings).error?.issues.map((issue) => issue.path.join('.'))).toContain(path)
})

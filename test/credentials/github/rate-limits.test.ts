import { generateKeyPairSync } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Purpose } from '../../../src/core/purpose.ts'
import { pauseIn } from '../../../src/credentials/github/installation-answer.ts'
import { buildSupply, sourceSettings } from '../../../src/credentials/registry.ts'
import { makeAuthority } from '../../support/certificates.ts'
import { type GithubStandIn, startGithub } from '../../support/github.ts'
import { loopback, makeSourceTools, theAuthority, theSecret } from '../../support/source-tools.ts'

/** @see https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api */
const NOW = Date.parse('2026-11-26T06:00:00Z')
const MINUTE_MS = 60_000
const second = (ms: number) => String(Math.floor((NOW + ms) / 1000))

interface Row {
  readonly status: number
  readonly retryAfter?: string
  readonly remaining?: string
  readonly reset?: string
  readonly message?: string
  readonly date?: number
}

describe('how long GitHub is left alone', () => {
  test.each<[string, Row, number | undefined]>([
    ['a primary limit', { status: 403, remaining: '0', reset: second(20 * MINUTE_MS) }, 20 * MINUTE_MS],
    ['the same as 429', { status: 429, remaining: '0', reset: second(20 * MINUTE_MS) }, 20 * MINUTE_MS],
    [
      'a primary limit, by the clock of GitHub',
      { status: 403, remaining: '0', reset: second(0), date: NOW - 5 * MINUTE_MS },
      5 * MINUTE_MS,
    ],
    ['no longer than its window', { status: 403, remaining: '0', reset: second(999 * MINUTE_MS) }, 60 * MINUTE_MS],
    ['a reset that has just been', { status: 403, remaining: '0', reset: second(-MINUTE_MS) }, 1_000],
    ['a reset that nobody can read', { status: 403, remaining: '0', reset: 'soon' }, MINUTE_MS],
    ['a secondary limit', { status: 403, retryAfter: '30', remaining: '4000', reset: second(0) }, 30_000],
    ['both at once', { status: 403, retryAfter: '30', remaining: '0', reset: second(MINUTE_MS) }, MINUTE_MS],
    ['both the other way', { status: 429, retryAfter: '90', remaining: '0', reset: second(MINUTE_MS) }, 90_000],
    ['a secondary limit by its words', { status: 403, message: secondary() }, MINUTE_MS],
    ['429 without anything', { status: 429 }, MINUTE_MS],
    ['the last one that was left', { status: 201, remaining: '0', reset: second(MINUTE_MS) }, MINUTE_MS],
    ['one of many', { status: 201, remaining: '4999', reset: second(MINUTE_MS) }, undefined],
    ['a 403 that is none', { status: 403, remaining: '4999', reset: second(MINUTE_MS) }, undefined],
    ['an outage', { status: 503, retryAfter: '30' }, undefined],
  ])('%s', (_what, { remaining, reset, message, date, status, retryAfter }, expected) => {
    const answer = { status, retryAfter, date, rateLimit: { remaining, reset }, body: JSON.stringify({ message }) }
    expect(pauseIn(answer, NOW)).toBe(expected)
  })
})

function secondary(): string {
  return 'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.'
}

const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' })
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
    repositories: ['site', 'docs'],
    permissions: { contents: 'write' },
  })
})

beforeEach(() => github.say(undefined))

afterAll(() => github.stop())

function setUp(more: object = {}) {
  const made = makeSourceTools({ secret: key, ca })
  made.clock.jumpWall(Date.now() - made.clock.now())
  const settings = sourceSettings.parse({
    kind: 'github-app',
    appId: 12345,
    installationId: 67890,
    key: { file: 'app.pem' },
    perRepository: true,
    owner: 'acme',
    apiUrl: `https://login.test:${github.port}`,
    allowPrivate: loopback,
    ...more,
  })
  const opened = { ...settings, key: theSecret, tls: { ca: theAuthority } }
  const supply = buildSupply(opened, made.tools)
  const ask = async (name: string) => supply.obtain(purposeOf(`/repos/acme/${name}`))
  const fail = (name: string) => ask(name).then(String, (error: unknown) => error)
  return { ...made, ask, fail }
}

function purposeOf(path: string): Purpose {
  return { caller: { name: 'ci', method: 'api-key' }, method: 'GET', path, fields: [] }
}

const resetIn = (ms: number) => ({
  'x-ratelimit-remaining': '0',
  'x-ratelimit-reset': String(Math.ceil((Date.now() + ms) / 1000)),
})

test('a primary limit is told to callers as what it is, and GitHub is asked nothing until it is over', async () => {
  github.say({ status: 403, headers: resetIn(30 * MINUTE_MS) })
  const { ask, fail, clock } = setUp()
  const before = github.asked.length
  expect(await fail('site')).toMatchObject({
    code: 'credential-unavailable',
    // A date of GitHub has whole seconds.
    retryAfter: expect.toSatisfy((seconds: number) => seconds >= 595 && seconds <= 1_802),
  })
  github.say(undefined)
  clock.advance(11 * MINUTE_MS)
  expect(await fail('site')).toMatchObject({ reason: expect.stringContaining('until its rate limit is over') })
  expect(await fail('docs')).toMatchObject({ code: 'credential-unavailable' })
  expect(github.asked.length - before).toBe(1)
  clock.advance(20 * MINUTE_MS)
  expect(await ask('docs')).toHaveProperty('secret')
})

test('the limit of one repository is that of all: the app is who is counted', async () => {
  github.say({ status: 403, headers: { 'retry-after': '40' } })
  const { ask, fail, clock } = setUp()
  const before = github.asked.length
  await fail('site')
  github.say(undefined)
  expect(await fail('docs')).toMatchObject({ code: 'credential-unavailable', retryAfter: 40 })
  expect(github.asked.length - before).toBe(1)
  clock.advance(41_000)
  expect(await ask('docs')).toHaveProperty('secret')
})

test('a limit is not the word for a suspended installation, and its own words are printed nowhere', async () => {
  github.say({ status: 403, message: secondary() })
  const { fail } = setUp()
  const problem = await fail('site')
  expect(problem).toMatchObject({ code: 'credential-unavailable', retryAfter: 60 })
  expect(String(problem)).not.toContain('secondary')
})

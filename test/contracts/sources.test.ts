import { generateKeyPairSync } from 'node:crypto'
import { inspect } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Purpose } from '../../src/core/purpose.ts'
import { Secret } from '../../src/core/secret.ts'
import type { Credential, Supply } from '../../src/credentials/credential.ts'
import { packed } from '../../src/credentials/login/content.ts'
import {
  buildSupply,
  dialledBySource,
  type SourceSettings,
  sourceKinds,
  sourceSettings,
} from '../../src/credentials/registry.ts'
import { z } from '../../src/forms/zod.ts'
import type { Store } from '../../src/store/store.ts'
import type { Dialer } from '../../src/wire/dial.ts'
import { makeAuthority } from '../support/certificates.ts'
import type { HandClock } from '../support/hand-clock.ts'
import { openLoginStore } from '../support/login-store.ts'
import { purposeWith } from '../support/purpose.ts'
import {
  type Quirk,
  type QuirkIssuer,
  type RecordedRequest,
  startQuirkIssuer,
  tokenAnswer,
} from '../support/quirk-issuer.ts'
import { loopback, makeSourceTools, type TestTools } from '../support/source-tools.ts'

const SECRETS = ['LT_CANARY-1', 'LT_CANARY-2'] as const
const TOKEN = 'AT_CANARY'
/** Those that sign need a private key. */
const KEYS = [newKey(), newKey()] as const
const SIGNERS = new Set(['jwt-bearer', 'signed-jwt', 'github-app'])
const ISSUED = 'urn:ietf:params:oauth:token-type:access_token'
const reference = { file: 'secrets/crm' }

let ca: string
let store: Store
let connections = 0
let issuer: QuirkIssuer

beforeAll(async () => {
  store = await openLoginStore()
  const authority = await makeAuthority()
  ca = authority.certPem
  issuer = await startQuirkIssuer(await authority.issue(['login.test']))
  issuer.answer((request) => answerTo(request, `${TOKEN}-${issuer.requests.length}`))
})

afterAll(() => issuer.stop())

/** For each kind, the least that a settings file has to say. A kind that is missing here fails the suite. */
const settingsOf: Readonly<Record<keyof typeof sourceKinds, () => object>> = {
  static: () => ({ secret: reference }),
  none: () => ({}),
  'client-credentials': () => ({
    tokenEndpoint: `https://login.test:${issuer.port}/token`,
    clientId: 'my-app',
    clientSecret: reference,
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: loopback,
  }),
  'refresh-token': () => ({ ...settingsOf['client-credentials'](), refreshToken: reference }),
  'authorization-code': () => ({
    ...settingsOf['client-credentials'](),
    authorizationEndpoint: `https://login.test:${issuer.port}/authorize`,
  }),
  'token-exchange': () => ({
    tokenEndpoint: `https://login.test:${issuer.port}/token`,
    subject: { from: 'file', token: reference },
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: loopback,
  }),
  'jwt-bearer': () => ({
    tokenEndpoint: `https://login.test:${issuer.port}/token`,
    clientId: 'my-app',
    key: reference,
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: loopback,
  }),
  'google-wif': () => ({
    audience: '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q',
    tokenEndpoint: `https://login.test:${issuer.port}/token`,
    subject: { from: 'file', token: reference },
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: loopback,
  }),
  'passthrough-obo': () => ({ audience: 'https://api.test' }),
  entra: () => ({
    tenant: 'contoso.test',
    clientId: 'my-app',
    scope: 'api://crm/.default',
    clientSecret: reference,
    authority: `https://login.test:${issuer.port}`,
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: loopback,
  }),
  'signed-jwt': () => ({ key: reference, claims: { iss: 'my-app' } }),
  'github-app': () => ({
    appId: 12345,
    installationId: 67890,
    key: reference,
    apiUrl: `https://login.test:${issuer.port}`,
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: loopback,
  }),
  'http-mint': () => ({
    connection: 'vault',
    path: '/lease',
    tokenPointer: '/auth/client_token',
    expiryPointer: '/auth/lease_duration',
  }),
  exec: () => ({ command: [process.execPath, '-e', PRINTING] }),
}

/** Somebody who asks, with a token that is good for an hour. */
function asker(clock: HandClock): Purpose {
  return purposeWith({ claims: { aud: 'https://api.test', exp: clock.now() / 1000 + 3_600 } })
}

/** Each issuer in its own form. */
function answerTo({ target }: RecordedRequest, token: string): Quirk {
  if (target === '/lease') return { body: { auth: { client_token: token, lease_duration: 3600 } } }
  if (!target.startsWith('/app/installations/')) return tokenAnswer({ access_token: token, issued_token_type: ISSUED })
  return { status: 201, body: { token, expires_at: new Date(Date.now() + 3_600_000).toISOString() } }
}

const PRINTING = `process.stdout.write(JSON.stringify({ token: '${TOKEN}-' + Math.random() }))`

function newKey(): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  return privateKey.export({ type: 'pkcs8', format: 'pem' })
}

// Object.keys has forgotten the names of the keys.
const kinds = Object.keys(sourceKinds) as (keyof typeof sourceKinds)[]

describe.each(kinds)('the source %s', (kind) => {
  const [secret, another] = SIGNERS.has(kind) ? KEYS : SECRETS

  function settings(): SourceSettings {
    return sourceSettings.parse({ kind, ...settingsOf[kind]() })
  }

  beforeEach(async () => {
    connections += 1
    // Somebody has logged in.
    const content = packed({ refreshToken: new Secret(`${SECRETS[0]}-rt`), isSteady: false })
    if (kind === 'authorization-code')
      await store.logins.put({ connection: name(), identity: 'shared' }, content, { by: 'ann' })
  })

  // Nobody else's login: what is kept outlives the supply.
  const name = () => `${kind}-${connections}`

  function build(): TestTools & { supply: Supply } {
    const made = makeSourceTools({ secret, ca, neighbourPort: issuer.port, logins: store.logins, name: name() })
    return { ...made, supply: buildSupply(settings(), made.tools) }
  }

  test('refuses a key it does not know', () => {
    expect(sourceSettings.safeParse({ kind, ...settingsOf[kind](), unknown: 1 }).success).toBe(false)
  })

  test('describes itself and each of its settings', () => {
    const { schema } = sourceKinds[kind]
    const shape: Readonly<Record<string, z.ZodType>> = schema.shape
    expect(schema.meta()?.description).toBeTypeOf('string')
    const silent = Object.keys(shape).filter((name) => name !== 'kind' && !shape[name]?.meta()?.description)
    expect(silent).toEqual([])
  })

  test('can be told as JSON Schema', () => {
    const options = { io: 'input', unrepresentable: 'any' } as const
    expect(z.toJSONSchema(sourceKinds[kind].schema, options)).toMatchObject({
      type: 'object',
      additionalProperties: false,
    })
  })

  test('asks nobody while it is built', () => {
    const before = issuer.requests.length
    expect(build().supply.state().phase).toMatch(/^(none|held|absent)$/)
    expect(issuer.requests).toHaveLength(before)
  })

  test('asks no server but those that a network policy hears of', async () => {
    const { tools, clock } = build()
    const asked = new Set<string>()
    const dialer: Dialer = {
      dial: (to, signal) => tools.dialer.dial(to, signal),
      connector(to) {
        asked.add(`${to.host}:${to.port}`)
        return tools.dialer.connector(to)
      },
      isOwnSocket: (from, to) => tools.dialer.isOwnSocket(from, to),
    }
    await buildSupply(settings(), { ...tools, dialer }).obtain(asker(clock))
    const dialled = dialledBySource(settings())
    const told = dialled === 'unknown' ? [] : dialled.map(({ url }) => new URL(url).host)
    expect([...asked].filter((one) => !told.includes(one))).toEqual([])
  })

  test('gives the same credential to all who ask at once', async () => {
    const { supply, clock } = build()
    const credentials = await Promise.all(Array.from({ length: 3 }, async () => supply.obtain(asker(clock))))
    expect(new Set(credentials.map((each) => each?.generation)).size).toBe(1)
  })

  test('gives a credential at once when it has given one before', async () => {
    const { supply, clock } = build()
    await supply.obtain(asker(clock))
    expect(supply.obtain(asker(clock))).not.toBeInstanceOf(Promise)
  })

  test('never answers a rejection with the credential that was rejected', async () => {
    const { supply, clock } = build()
    const credential = await supply.obtain(asker(clock))
    const other = credential && (await supply.rejected(credential, asker(clock)))
    expect(other === undefined || !other.secret.equals((credential as Credential).secret)).toBe(true) // it was there
  })

  test('gives a later credential a higher generation and another version', async () => {
    const { supply, clock, rotate } = build()
    const first = await supply.obtain(asker(clock))
    rotate(another)
    clock.advance(24 * 3_600_000)
    const second = await supply.obtain(asker(clock))
    if (!first || !second) return expect([kind, first, second]).toEqual(['none', undefined, undefined])
    expect(second.generation).toBeGreaterThan(first.generation)
    expect(second.version).not.toBe(first.version)
  })

  test('answers a rejection with the credential that is there since', async () => {
    const { supply, clock, rotate } = build()
    const first = await supply.obtain(asker(clock))
    rotate(another)
    clock.advance(24 * 3_600_000)
    const second = await supply.obtain(asker(clock))
    expect(first && (await supply.rejected(first, asker(clock)))?.generation).toBe(second?.generation)
  })

  test('prints neither its secret nor its credential', async () => {
    const { supply, clock, events } = build()
    const credential = await supply.obtain(asker(clock))
    const all = [supply, credential, supply.state(), events]
    const shown = inspect(all, { depth: 20, showHidden: true }) + JSON.stringify(all) + String(credential?.version)
    expect(shown).not.toContain(secret.split('\n')[1] ?? secret)
    expect(shown).not.toContain(TOKEN)
  })
})

test('no other kind is taken', () => {
  const result = sourceSettings.safeParse({ kind: 'magic' })
  expect(result.error?.issues[0]?.message).toContain(`use one of ${kinds.join(', ')}`)
})

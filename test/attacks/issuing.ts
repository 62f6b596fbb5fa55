import { generateKeyPairSync } from 'node:crypto'
import { inspect } from 'node:util'
import { expect } from 'vitest'
import { Secret } from '../../src/core/secret.ts'
import type { Credential, Supply } from '../../src/credentials/credential.ts'
import { packed } from '../../src/credentials/login/content.ts'
import { buildSupply, sourceSettings } from '../../src/credentials/registry.ts'
import type { Store } from '../../src/store/store.ts'
import { type Quirk, type QuirkIssuer, tokenAnswer } from '../support/quirk-issuer.ts'
import { loopback, makeSourceTools, type TestTools } from '../support/source-tools.ts'

/** What must be in nothing that anybody is shown. */
export const TOKEN = 'AT_CANARY'
export const ISSUER_TEXT = 'ISSUER_CANARY'
const HIDDEN = /AT_CANARY|ISSUER_CANARY|LT_CANARY|RT_CANARY|CODE_CANARY|FEDERATED_CANARY/

const pem = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' })
const ACCESS = 'urn:ietf:params:oauth:token-type:access_token'
const ROBOT = 'robot@p.iam.gserviceaccount.com'
const reference = { file: 'secrets/crm' }

/** Members of an answer, by the names of RFC 6749; every form has `access_token` and `expires_in`. */
export type Members = Readonly<Record<string, unknown>>

/** One way of asking an issuer, as it is attacked. */
export interface Way {
  readonly name: string
  readonly kind: string
  readonly settings: (origin: string) => object
  /** The target of the request that is answered wrongly; what else is asked is answered as it should be. */
  readonly isTarget: (target: string) => boolean
  /** A right answer in the form of this issuer, changed as said. */
  readonly right: (members?: Members, now?: number) => Quirk
  /** What it calls the token. */
  readonly token: string
  /** Whether it speaks as RFC 6749 has it. */
  readonly isOAuth: boolean
  readonly secret?: string
  /** A code is exchanged, in place of a token being minted. */
  readonly isCode?: boolean
  /** Somebody has logged in before. */
  readonly hasLogin?: boolean
}

function oauth(name: string, kind: string, more: (origin: string) => object, rest: Partial<Way> = {}): Way {
  return {
    name,
    kind,
    settings: (origin) => ({ tokenEndpoint: `${origin}/${name}`, ...more(origin) }),
    isTarget: (target) => target.startsWith(`/${name}`),
    right: (members) =>
      tokenAnswer({ access_token: TOKEN, issued_token_type: ACCESS, refresh_token: 'RT_CANARY-2', ...members }),
    token: 'access_token',
    isOAuth: true,
    ...rest,
  }
}

const client = () => ({ clientId: 'my-app', clientSecret: reference })
const subject = () => ({ subject: { from: 'file', token: reference } })
const login = (origin: string) => ({ ...client(), authorizationEndpoint: `${origin}/authorize` })
const audience = '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q'

/** When it ends, as a time; what is no number is passed on as it is. */
function timeOf(seconds: unknown, now = 0): unknown {
  return typeof seconds === 'number' ? new Date(now + seconds * 1000).toISOString() : seconds
}

/** Every source that asks somebody for a token, and every request by which one does. */
export const ways: readonly Way[] = [
  oauth('client-credentials', 'client-credentials', client),
  oauth('refresh-token', 'refresh-token', () => ({ ...client(), refreshToken: reference })),
  oauth('a-refresh-after-a-login', 'authorization-code', login, { hasLogin: true }),
  oauth('a-code', 'authorization-code', login, { isCode: true }),
  oauth('jwt-bearer', 'jwt-bearer', () => ({ clientId: 'my-app', key: reference }), { secret: pem }),
  oauth('token-exchange', 'token-exchange', subject),
  oauth('google-wif', 'google-wif', () => ({ ...subject(), audience })),
  oauth('google-wif-robot', 'google-wif', (origin) => ({ ...subject(), audience, ...impersonating(origin) }), {
    isTarget: (target) => target.endsWith(':generateAccessToken'),
    right: ({ access_token = TOKEN, expires_in = 3600, ...rest } = {}, now) => ({
      body: { accessToken: access_token, expireTime: timeOf(expires_in, now), ...rest },
    }),
    token: 'accessToken',
    isOAuth: false,
  }),
  oauth('entra', 'entra', (origin) => ({ ...client(), ...directory(origin) })),
  {
    name: 'github-app',
    kind: 'github-app',
    settings: (origin) => ({ appId: 1, installationId: 2, key: reference, apiUrl: `${origin}/github-app` }),
    isTarget: (target) => target.startsWith('/github-app/'),
    right: ({ access_token: token = TOKEN, expires_in = 3600, ...rest } = {}, now) => ({
      status: 201,
      // By its own clock is how its times are read.
      ...(now !== undefined && { headers: { date: new Date(now).toUTCString() } }),
      body: { token, expires_at: timeOf(expires_in, now), ...rest },
    }),
    token: 'token',
    isOAuth: false,
    secret: pem,
  },
  {
    name: 'http-mint',
    kind: 'http-mint',
    settings: () => ({
      connection: 'vault',
      path: '/http-mint',
      tokenPointer: '/auth/token',
      expiryPointer: '/auth/ttl',
    }),
    isTarget: (target) => target === '/http-mint',
    right: ({ access_token: token = TOKEN, expires_in: ttl = 3600, ...rest } = {}) => ({
      body: { auth: { token, ttl, ...rest } },
    }),
    token: 'token',
    isOAuth: false,
  },
]

function impersonating(origin: string): object {
  return { serviceAccount: ROBOT, impersonationEndpoint: origin }
}

function directory(origin: string): object {
  return { tenant: 'entra', scope: 'api://crm/.default', authority: origin, tokenEndpoint: undefined }
}

/** One of them, built anew, with nothing remembered. */
export interface Attacked extends TestTools {
  readonly way: Way
  readonly supply: Supply
  /** A credential, or what was thrown instead; it is searched for what must not be in it. */
  ask(): Promise<Credential | Error | undefined>
  /** The same, and nothing is searched: for asking very often. */
  hammer(): Promise<Credential | Error | undefined>
  /** How often it has asked so far. */
  asked(): number
}

interface Stage {
  readonly issuer: QuirkIssuer
  readonly store: Store
  readonly ca: string
  readonly settings?: object
  readonly random?: () => number
}

let connections = 0

/** Answers with the quirk what this way asks, and all else as it should be. */
export function answerTo(way: Way, issuer: QuirkIssuer, quirk: Quirk | (() => Quirk)): void {
  const federated = tokenAnswer({ access_token: 'FEDERATED_CANARY', issued_token_type: ACCESS })
  issuer.answer(({ target }) => {
    if (!way.isTarget(target)) return federated
    return typeof quirk === 'function' ? quirk() : quirk
  })
}

/** The settings of a way, as a settings file would have them. */
export function settingsOf(way: Way, origin: string, more: object = {}): unknown {
  const isNeighbour = way.kind === 'http-mint'
  const reach = isNeighbour ? {} : { tls: { ca: { file: 'ca.pem' } }, allowPrivate: loopback }
  const given = { kind: way.kind, ...reach, ...way.settings(origin), ...more }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}

/** Builds the source of a way, for a connection that nobody has used. */
export async function attack(
  way: Way,
  { issuer, store, ca, settings: more, random = () => 0.5 }: Stage,
): Promise<Attacked> {
  connections += 1
  const name = `crm-${connections}`
  const made = makeSourceTools({
    secret: way.secret ?? 'LT_CANARY',
    ca,
    logins: store.logins,
    name,
    neighbourPort: issuer.port,
  })
  const settings = sourceSettings.parse(settingsOf(way, `https://login.test:${issuer.port}`, more))
  const before = packed({ refreshToken: new Secret('RT_CANARY-1'), isSteady: false })
  if (way.hasLogin) await store.logins.put({ connection: name, identity: 'shared' }, before, { by: 'ann' })
  const supply = buildSupply(settings, { ...made.tools, random })
  const asks = way.isCode ? () => exchangeCode(supply) : async () => supply.obtain()
  const hammer = () => asks().catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))))
  const first = issuer.requests.length
  return {
    ...made,
    way,
    supply,
    asked: () => issuer.requests.slice(first).filter(({ target }) => way.isTarget(target)).length,
    hammer,
    async ask() {
      const outcome = await hammer()
      const all = [outcome, made.events, supply.state()]
      const shown =
        inspect(all, { depth: 20, showHidden: true }) +
        JSON.stringify(all) +
        (outcome instanceof Error ? outcome.message : '')
      expect(shown).not.toMatch(HIDDEN)
      expect(shown).not.toContain(pem.split('\n')[1])
      return outcome
    },
  }
}

/** A login from its beginning to its end; then a token by it. */
async function exchangeCode(supply: Supply): Promise<Credential | undefined> {
  const { desk } = supply
  if (!desk) throw new Error('nobody can log in')
  const redirectUri = 'http://127.0.0.1:1/login/crm/callback'
  const { state } = await desk.begin({ caller: undefined, redirectUri, holder: 'ann' })
  const answer = new URLSearchParams({ state, code: 'CODE_CANARY' })
  try {
    await desk.finish(answer, { holder: 'ann', by: 'ann' })
  } catch (error) {
    // A code that was shown once is not shown again, and nobody is logged in.
    await expect(desk.finish(answer, { holder: 'ann', by: 'ann' })).rejects.toMatchObject({ code: 'credential-failed' })
    expect(desk.list()).toEqual([])
    throw error
  }
  return supply.obtain()
}

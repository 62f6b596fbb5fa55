import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { buildSupply, sourceSettings } from '../../src/credentials/registry.ts'
import type { OpenSecret } from '../../src/secrets/kind.ts'
import { openSecret } from '../../src/secrets/open.ts'
import type { SecretReference } from '../../src/secrets/reference.ts'
import { type RunningAuthorizationServer, startAuthorizationServer } from '../support/authorization-server.ts'
import { type Authority, makeAuthority } from '../support/certificates.ts'
import { type QuirkIssuer, type RecordedRequest, startQuirkIssuer, tokenAnswer } from '../support/quirk-issuer.ts'
import { loopback, makeSourceTools } from '../support/source-tools.ts'

const OLD = 'LT_CANARY_OLD'
const NEW = 'LT_CANARY_NEW'

let authority: Authority
let issuer: QuirkIssuer
let server: RunningAuthorizationServer
/** What the issuer takes just now. */
let known: string[]

beforeAll(async () => {
  authority = await makeAuthority()
  issuer = await startQuirkIssuer(await authority.issue(['login.test']))
  issuer.answer((request) =>
    known.includes(shownIn(request))
      ? tokenAnswer({ access_token: `at-${issuer.requests.length}`, expires_in: 60 })
      : { status: 401, headers: { 'www-authenticate': 'Basic' }, body: { error: 'invalid_client' } },
  )
  const clients = [{ id: 'my-app', secret: NEW }]
  server = await startAuthorizationServer({ authority, clients })
})

afterAll(async () => {
  await issuer.stop()
  await server.stop()
})

function shownIn({ rawHeaders }: RecordedRequest): string {
  const value = rawHeaders[rawHeaders.findIndex((name) => name.toLowerCase() === 'authorization') + 1] ?? ''
  return Buffer.from(value.slice('Basic '.length), 'base64').toString().split(':')[1] ?? ''
}

/** A supply whose client has two files of secrets, watched as the sidecar watches them. */
async function build({ next, tokenEndpoint }: { next?: string; tokenEndpoint?: string } = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-slots-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const write = (name: string, text: string) => writeFileSync(join(directory, name), text, { mode: 0o600 })
  write('current', OLD)
  if (next !== undefined) write('next', next)
  const settings = sourceSettings.parse({
    kind: 'client-credentials',
    tokenEndpoint: tokenEndpoint ?? `https://login.test:${issuer.port}/token`,
    clientId: 'my-app',
    clientSecret: { current: { file: 'current' }, next: { file: 'next' } },
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: loopback,
  })
  if (!('clientSecret' in settings) || !settings.clientSecret || !('next' in settings.clientSecret))
    throw new Error('two slots were parsed as something else')
  const opened = new Map<SecretReference, OpenSecret>()
  for (const reference of [settings.clientSecret.current, settings.clientSecret.next]) {
    const one = await openSecret(reference, { directory, pollMs: 5 })
    onTestFinished(() => one.close())
    opened.set(reference, one)
  }
  const made = makeSourceTools({ secret: '', ca: authority.certPem })
  const secret = (reference: SecretReference) => opened.get(reference) ?? made.tools.secret(reference)
  /** Resolves once the file is in use. */
  const rewrite = async (name: string, change: () => void) => {
    const reference = [...opened.keys()].find(({ settings: { file } }) => file === name)
    await new Promise<void>((resolve) => {
      if (reference) opened.get(reference)?.onChange(resolve)
      change()
    })
  }
  return {
    ...made,
    write: (name: string, text: string) => rewrite(name, () => write(name, text)),
    remove: (name: string) => rewrite(name, () => rmSync(join(directory, name))),
    supply: buildSupply(settings, { ...made.tools, secret }),
  }
}

/** What has been shown since, in order. */
async function shownBy(mint: () => Promise<unknown>): Promise<string[]> {
  const before = issuer.requests.length
  await mint()
  return issuer.requests.slice(before).map(shownIn)
}

type Built = Awaited<ReturnType<typeof build>>

/** Mints, long after the token before. */
function later({ supply, clock }: Built) {
  clock.advance(3_600_000)
  return shownBy(async () => supply.obtain())
}

test('a whole rotation takes no restart, and not one request fails', async () => {
  known = [OLD]
  const built = await build()
  expect(await later(built)).toEqual([OLD])
  // The new one is made at the issuer, and written here.
  known = [OLD, NEW]
  await built.write('next', NEW)
  expect(await later(built)).toEqual([OLD])
  // The old one is taken away at the issuer: from then on the new one is shown first.
  known = [NEW]
  expect(await later(built)).toEqual([OLD, NEW])
  expect(await later(built)).toEqual([NEW])
  // The new one takes the place of the old one, and its own place is free for the next time.
  await built.write('current', NEW)
  await built.remove('next')
  expect(await later(built)).toEqual([NEW])
  expect(built.events.map(({ outcome }) => outcome)).toEqual(Array(5).fill('ok'))
})

test('tells once that the old secret can be retired, and names the secret behind each token', async () => {
  known = [NEW]
  const built = await build({ next: NEW })
  for (let i = 0; i < 3; i += 1) await later(built)
  const warnings = built.events.flatMap((event) => (event.outcome === 'ok' ? event.warnings : []))
  expect(warnings).toEqual([
    'the issuer refuses the client secret of file:current and takes that of file:next, which is shown from now on: the old one is unused, and can be retired',
  ])
  expect(await built.supply.obtain()).toMatchObject({ behind: { name: 'file:next' } })
  expect(JSON.stringify(built.events)).not.toContain('CANARY')
})

test('another secret in the first place is tried first again', async () => {
  known = [NEW]
  const built = await build({ next: NEW })
  expect(await later(built)).toEqual([OLD, NEW])
  known = ['LT_CANARY_THIRD']
  await built.write('current', 'LT_CANARY_THIRD')
  expect(await later(built)).toEqual(['LT_CANARY_THIRD'])
})

test('the issuer may change its mind: what was taken last is shown first', async () => {
  known = [NEW]
  const built = await build({ next: NEW })
  expect(await later(built)).toEqual([OLD, NEW])
  known = [OLD]
  expect(await later(built)).toEqual([NEW, OLD])
  expect(await later(built)).toEqual([OLD])
})

describe('where neither is taken', () => {
  test('the failure is the first one’s, lasts, and ends when either file changes', async () => {
    known = []
    const built = await build({ next: NEW })
    const refused = { code: 'credential-failed', retryAfter: undefined }
    await expect(built.supply.obtain()).rejects.toMatchObject(refused)
    expect(await shownBy(() => expect(built.supply.obtain()).rejects.toMatchObject(refused))).toEqual([])
    known = ['LT_CANARY_RIGHT']
    await built.write('next', 'LT_CANARY_RIGHT')
    expect(await shownBy(async () => built.supply.obtain())).toEqual([OLD, 'LT_CANARY_RIGHT'])
  })

  test('the next one is not shown for a failure of another sort', async () => {
    const built = await build({ next: NEW })
    issuer.answer({ status: 400, body: { error: 'invalid_scope' } })
    expect(await shownBy(() => expect(built.supply.obtain()).rejects.toThrow())).toEqual([OLD])
    issuer.answer({ status: 503 })
    built.clock.advance(3_600_000)
    expect(await shownBy(() => expect(built.supply.obtain()).rejects.toThrow())).toEqual([OLD])
    issuer.answer({ status: 401, body: 'no words' })
    built.clock.advance(3_600_000)
    expect(await shownBy(() => expect(built.supply.obtain()).rejects.toThrow())).toEqual([OLD, NEW])
  })
})

test('a real server that knows the next secret alone gives a token', async () => {
  const { supply, clock } = await build({ next: NEW, tokenEndpoint: server.tokenEndpoint })
  clock.jumpWall(Date.now() - clock.now())
  expect(await supply.obtain()).toMatchObject({ behind: { name: 'file:next' } })
})

test.each([
  ['a next one alone', { next: { file: 'b' } }],
  ['a current one alone', { current: { file: 'a' } }],
  ['a secret itself', { current: 'LT_CANARY', next: { file: 'b' } }],
])('settings with %s are refused, and not repeated', (_what, clientSecret) => {
  const common = { kind: 'client-credentials', tokenEndpoint: 'https://login.test/t', clientId: 'me' }
  const { error } = sourceSettings.safeParse({ ...common, clientSecret })
  expect(error?.issues).not.toEqual([])
  expect(error?.message).not.toContain('CANARY')
})

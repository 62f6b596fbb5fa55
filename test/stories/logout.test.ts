import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { linkOf } from '../support/browser.ts'
import { type Quirk, type QuirkIssuer, startQuirkIssuer, tokenAnswer } from '../support/quirk-issuer.ts'
import { type RawAnswer, sendRaw, WHOLE_ANSWER } from '../support/raw-client.ts'
import {
  eventually,
  privateDirectory,
  type Running,
  remove,
  startSallyport,
  writeSecret,
} from '../support/sallyport.ts'
import { OK, type RawUpstream, startUpstream } from '../support/upstream.ts'
import { authority, connectionTo } from './crm.ts'
import { newBrowser, OPERATOR_KEY, runVerb } from './login-site.ts'

/** A logout, and the removal of a caller, while the authorization server does just what it is told: a stand-in. */
const CANARY = 'RT_CANARY'
/** A verb is a program of its own, which takes seconds to start on a busy machine. */
const SLOW = { timeout: 60_000 }
const UNKNOWN = { status: 401, headers: { 'content-type': 'application/json' }, body: { error: 'invalid_client' } }

let upstream: RawUpstream
let issuer: QuirkIssuer
let sallyport: Running
let directory: string
let adminAddress: string
/** The answers to revocations: one after the other, and the last of them for ever. */
let onRevocation: Quirk[] = []
let count = 0

beforeAll(async () => {
  upstream = await startUpstream(() => OK, await authority.issue(['own.test']))
  issuer = await startQuirkIssuer(await authority.issue(['login.test']))
  issuer.answer(({ target }) => {
    if (target === '/revoke') return (onRevocation.length > 1 ? onRevocation.shift() : onRevocation[0]) ?? {}
    count += 1
    return tokenAnswer({ access_token: `at-${count}`, refresh_token: `${CANARY}-${count}` })
  })
  directory = privateDirectory()
  for (const [name, value] of [
    ['operator', OPERATOR_KEY],
    ['store-key', Buffer.alloc(32, 7).toString('base64')],
    ['ca.pem', authority.certPem],
    ['client', 'secret-of-the-client'],
    ['app', 'key-of-app'],
  ] as const)
    writeSecret(directory, name, value)
  await start()
}, 60_000)

async function start(): Promise<void> {
  sallyport = await startSallyport(directory, settings())
  adminAddress = `http://${sallyport.admin}`
}

beforeEach(() => {
  onRevocation = []
})

afterAll(async () => {
  await sallyport?.stop('SIGKILL')
  await upstream?.close()
  await issuer?.stop()
  remove(directory)
})

function settings(): object {
  const credential = {
    kind: 'authorization-code',
    identity: 'per-caller',
    authorizationEndpoint: `https://login.test:${issuer.port}/authorize`,
    tokenEndpoint: `https://login.test:${issuer.port}/token`,
    revocationEndpoint: `https://login.test:${issuer.port}/revoke`,
    clientId: 'own',
    clientSecret: { file: 'client' },
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: ['127.0.0.0/8'],
  }
  return {
    listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }],
    admin: {
      listen: '127.0.0.1:0',
      operators: { ops: { role: 'admin', proof: { kind: 'api-key', key: { file: 'operator' } } } },
    },
    allowlist: ['own.test'],
    callers: { app: { kind: 'api-key', key: { file: 'app' } } },
    connections: { own: connectionTo('own.test', upstream.port, { credential }) },
    grants: [{ caller: 'app', connection: 'own' }],
    store: { kind: 'sqlite', path: 'store/logins.db', key: { file: 'store-key' } },
    dns: { hosts: { 'own.test': ['127.0.0.1'], 'login.test': ['127.0.0.1'] } },
  }
}

function ask(caller = 'app', key = `key-of-${caller}`): Promise<RawAnswer> {
  const proof = Buffer.from(`${caller}:${key}`).toString('base64')
  const head = `GET http://own.test/1 HTTP/1.1\r\nHost: own.test\r\nProxy-Authorization: Basic ${proof}\r\n\r\n`
  return sendRaw(sallyport.doors[0]?.address ?? '', head, { until: WHOLE_ANSWER })
}

/** By a browser that the stand-in would send back at once. */
async function logIn(refused: RawAnswer): Promise<void> {
  const [, link = ''] = /visiting ([^"\s]+)/.exec(refused.text) ?? []
  const browser = newBrowser()
  const state = new URL(linkOf(await browser.visit(link))).searchParams.get('state') ?? ''
  const end = await browser.visit(`${adminAddress}/login/own/callback?state=${state}&code=c`)
  expect([end.status, end.text]).toEqual([200, expect.stringContaining('<h1>Logged in</h1>')])
}

async function logInAsApp(): Promise<void> {
  await logIn(await ask())
  expect((await ask()).status).toBe(200)
}

const verb = (args: readonly string[]) => runVerb({ directory, adminAddress }, args)
const logout = () => verb(['logout', 'own', '--caller', 'app'])

/** As the operator, without the time that a verb takes to start. */
async function api(method: string, path: string, body?: object): Promise<Record<string, string>> {
  const answer = await fetch(`${adminAddress}${path}`, {
    method,
    headers: { authorization: `Bearer ${OPERATOR_KEY}`, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  })
  const text = await answer.text()
  return text === '' ? {} : JSON.parse(text)
}

function revocations(): Record<string, unknown>[] {
  return changes('login.revoke')
}

function changes(of: string): Record<string, unknown>[] {
  return readFileSync(join(directory, 'audit.jsonl'), 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
    .filter(({ action }) => action === of)
}

/** What the audit says of it, once it does; others may have been written before. */
function recorded(expected: object): Promise<unknown> {
  return eventually(
    () => {
      const last = revocations().at(-1)
      if (!last) return undefined
      try {
        expect(last).toMatchObject(expected)
        return last
      } catch {
        return undefined
      }
    },
    `a login.revoke of ${JSON.stringify(expected)}`,
  )
}

function shownTo(target: string): string[] {
  return issuer.requests.filter((one) => one.target === target).map(({ body }) => body)
}

describe('a logout', () => {
  test('ends what the authorization server gave, and says so; the audit names no token', SLOW, async () => {
    await logInAsApp()
    const before = shownTo('/revoke').length
    const { code, stdout, stderr } = await logout()
    expect([code, stdout, stderr]).toEqual([0, 'logged out of own for app\n', 'revoked at the authorization server\n'])
    const tokens = shownTo('/revoke').slice(before)
    expect(tokens).toEqual([
      `token_type_hint=refresh_token&token=${CANARY}-${count}`,
      `token_type_hint=access_token&token=at-${count}`,
    ])
    expect((await ask()).status).toBe(403)
    await recorded({
      operator: 'ops',
      subject: 'own app',
      after: { login: expect.any(String), outcome: 'revoked', tries: 1 },
    })
  })

  test(
    'that the authorization server refuses has been done here, and the operator is told, by exit 1 too',
    SLOW,
    async () => {
      await logInAsApp()
      onRevocation = [UNKNOWN]
      const { code, stdout, stderr } = await logout()
      expect([code, stdout]).toEqual([1, 'logged out of own for app\n'])
      expect(stderr).toMatch(
        /^NOT revoked at the authorization server: login\.test:\d+ answered 401 invalid_client: compare clientId/,
      )
      expect((await ask()).status).toBe(403)
      await recorded({ code: 'revocation-failed', after: { outcome: 'failed', tries: 1 } })
      const isLogged = () => sallyport.output().includes('is not revoked at its authorization server')
      await eventually(() => isLogged() || undefined, 'the log to have it')
    },
  )

  test('is told that it is not yet revoked, and the audit tells when it is', SLOW, async () => {
    await logInAsApp()
    onRevocation = [{ status: 503 }, {}]
    const { code, stdout } = await verb(['logout', 'own', '--caller', 'app', '--json'])
    expect([code, JSON.parse(stdout)]).toEqual([
      1,
      {
        connection: 'own',
        caller: 'app',
        revocation: { outcome: 'pending', tries: 1, reason: expect.stringMatching(/answered 503$/) },
      },
    ])
    await recorded({ after: { outcome: 'revoked', tries: 2 }, subject: 'own app' })
  })

  test(
    'is recorded before the authorization server has said anything, and the next request is refused',
    SLOW,
    async () => {
      await logInAsApp()
      onRevocation = [{ instead: 'silence' }]
      const [before, removed] = [revocations().length, changes('login.remove').length]
      const asked = shownTo('/revoke').length
      const waiting = logout()
      await eventually(() => shownTo('/revoke').length > asked || undefined, 'the revocation to be asked for', 40_000)
      expect((await ask()).status).toBe(403)
      await eventually(() => changes('login.remove').length === removed + 1 || undefined, 'the logout to be recorded')
      expect(revocations()).toHaveLength(before)
      await sallyport.stop('SIGTERM')
      const { code, stderr } = await waiting
      expect(code).toBe(1)
      expect(stderr).toMatch(/^(?:NOT|not yet) revoked at the authorization server: /)
      expect(revocations().at(-1)).toMatchObject({
        code: 'revocation-failed',
        after: { outcome: 'failed', reason: expect.stringMatching(/^Sallyport was stopped before it was done/) },
      })
      await start()
    },
  )
})

describe('the removal of a caller', () => {
  const add = async (name: string) => {
    const { key } = await api('POST', '/v1/callers', { name })
    await api('POST', '/v1/grants', { caller: name, connection: 'own' })
    return key ?? ''
  }

  test('ends its own logins, and says so', SLOW, async () => {
    const key = await add('late')
    await logIn(await ask('late', key))
    expect((await ask('late', key)).status).toBe(200)
    const { code, stdout, stderr } = await verb(['caller', 'remove', 'late'])
    expect([code, stdout, stderr]).toEqual([
      0,
      'removed: late, with its keys, its grants and its logins\n',
      'login of own: revoked at the authorization server\n',
    ])
    expect(shownTo('/revoke').at(-2)).toContain(`token=${CANARY}-${count}`)
    await recorded({ subject: 'own late', after: { outcome: 'revoked' } })
  })

  test('is done where that fails, and of one without logins there is nothing to tell', SLOW, async () => {
    const key = await add('later')
    await logIn(await ask('later', key))
    onRevocation = [UNKNOWN]
    const failed = await verb(['caller', 'remove', 'later'])
    expect([failed.code, failed.stderr]).toEqual([1, expect.stringMatching(/^login of own: NOT revoked/)])
    expect((await ask('later', key)).status).toBe(407)
    await add('last')
    expect(await api('DELETE', '/v1/callers/last')).toEqual({ logins: [] })
  })
})

test('no token is in a log or in the audit', () => {
  const written = sallyport.output() + readFileSync(join(directory, 'audit.jsonl'), 'utf8')
  expect(written).not.toContain(CANARY)
  expect(written).not.toMatch(/"at-\d+"/)
})

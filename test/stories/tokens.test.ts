import { renameSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type RunningAuthorizationServer, startAuthorizationServer } from '../support/authorization-server.ts'
import {
  type Quirk,
  type QuirkIssuer,
  type RecordedRequest,
  startQuirkIssuer,
  tokenAnswer,
} from '../support/quirk-issuer.ts'
import { type RawAnswer, sendRaw } from '../support/raw-client.ts'
import { eventually, type Running, remove, startSallyport, writeSecret } from '../support/sallyport.ts'
import { OK, type RawUpstream, type Step, startUpstream } from '../support/upstream.ts'
import { authority, CALLER_KEY, CREDENTIAL, connectionTo, crmDirectory, crmSettings, PROOF } from './crm.ts'

const ROTATED_SECRET = `rotated-${CREDENTIAL}`
const UNAUTHORIZED: readonly Step[] = [
  { send: 'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm="inner"\r\nContent-Length: 2\r\n\r\nno' },
]

let upstream: RawUpstream
let issuer: QuirkIssuer
/** A second authorization server, of the name and address of which nothing is allowed. */
let inside: RawUpstream
let oidc: RunningAuthorizationServer
let sallyport: Running
let directory: string

/** What the issuer says to one connection, which is called by its path there. */
const mints = new Map<string, (count: number, request: RecordedRequest) => Quirk>()
/** What the upstream says to one connection, whose token starts with its name. */
const verdicts = new Map<string, (token: string) => readonly Step[]>()

const NAMES = [
  'cold',
  'renewed',
  'posted',
  'rejected',
  'forbidden',
  'bare',
  'outage',
  'refused',
  'rotated',
  'redirected',
  'split',
  'nul',
  'accented',
] as const

beforeAll(async () => {
  upstream = await startUpstream(
    (head) => {
      const [, token = '', name = ''] = /^authorization: Bearer ((\w+)-\S+)\r$/im.exec(head) ?? []
      return verdicts.get(name)?.(token) ?? OK
    },
    await authority.issue(['*.crm.test']),
  )
  issuer = await startQuirkIssuer(await authority.issue(['login.test']))
  issuer.answer((request) => {
    const name = request.target.slice(1)
    return (
      mints.get(name)?.(mintsOf(name).length, request) ??
      tokenAnswer({ access_token: `${name}-${mintsOf(name).length}` })
    )
  })
  inside = await startUpstream(undefined, await authority.issue(['inside.test']))
  oidc = await startAuthorizationServer({
    authority,
    host: 'oidc.test',
    clients: [{ id: 'real', secret: CREDENTIAL }],
    resource: 'https://api.test',
  })
  directory = crmDirectory()
  writeSecret(directory, 'rotated', CREDENTIAL)
  sallyport = await startSallyport(directory, settings())
})

afterAll(async () => {
  await sallyport?.stop('SIGKILL')
  if (directory) remove(directory)
  await upstream?.close()
  await issuer?.stop()
  await inside?.close()
  await oidc?.stop()
})

function settings(): object {
  const credential = (more: object) => ({
    kind: 'client-credentials',
    clientId: 'crm',
    clientSecret: { file: 'credential' },
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: ['127.0.0.0/8'],
    ...more,
  })
  const to = (name: string, more: object) =>
    connectionTo(`${name}.crm.test`, upstream.port, { credential: credential(more) })
  const quirky = NAMES.map((name) => {
    const tokenEndpoint = `https://login.test:${issuer.port}/${name}`
    return [
      name,
      to(name, name === 'rotated' ? { tokenEndpoint, clientSecret: { file: 'rotated' } } : { tokenEndpoint }),
    ] as const
  })
  const connections: Record<string, object> = {
    ...Object.fromEntries(quirky),
    inside: to('inside', { tokenEndpoint: `https://inside.test:${inside.port}/token`, allowPrivate: [] }),
    real: to('real', { issuer: oidc.issuer, clientId: 'real' }),
    stranger: to('stranger', { issuer: oidc.issuer, clientId: 'real', clientSecret: { file: 'checkout' } }),
  }
  const names = Object.keys(connections)
  const local = [...names.map((name) => `${name}.crm.test`), 'login.test', 'inside.test', 'oidc.test']
  return crmSettings({
    port: upstream.port,
    settings: {
      listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }],
      allowlist: ['*.crm.test'],
      connections,
      grants: names.map((connection) => ({ caller: 'checkout', connection })),
      dns: { hosts: Object.fromEntries(local.map((host) => [host, ['127.0.0.1']])) },
    },
  })
}

/** The token requests for one connection so far. */
function mintsOf(name: string): RecordedRequest[] {
  return issuer.requests.filter(({ target }) => target === `/${name}`)
}

/** The tokens with which one connection was used, in order. */
function tokensOf(name: string): string[] {
  const spent = upstream.heads().flatMap((head) => /^authorization: Bearer (\S+)\r$/im.exec(head)?.[1] ?? [])
  return spent.filter((token) => token.startsWith(`${name}-`))
}

function ask(name: string, method = 'GET', more = '\r\n'): Promise<RawAnswer> {
  const head = `${method} http://${name}.crm.test/ HTTP/1.1\r\nHost: ${name}.crm.test\r\n${PROOF}${more}`
  return sendRaw(sallyport.doors[0]?.address ?? '', head, { until: /\r\n\r\n(?:ok|no|\{.*\}\n)$/ })
}

function post(name: string): Promise<RawAnswer> {
  return ask(name, 'POST', 'Content-Length: 2\r\n\r\nhi')
}

async function entriesOf(name: string, count: number): Promise<Record<string, unknown>[]> {
  return eventually(async () => {
    const entries = (await sallyport.audit(0)).filter(({ connection }) => connection === name)
    return entries.length >= count ? entries : undefined
  }, `${count} entries of ${name}`)
}

function statusesOf(answers: readonly RawAnswer[]): number[] {
  return [...new Set(answers.map(({ status }) => status))]
}

test('a hundred callers that find no token wait for one mint', async () => {
  mints.set('cold', () => ({ ...tokenAnswer({ access_token: 'cold-1' }), delayMs: 100 }))
  const answers = await Promise.all(Array.from({ length: 100 }, () => ask('cold')))
  expect(statusesOf(answers)).toEqual([200])
  expect(mintsOf('cold')).toHaveLength(1)
  expect(new Set(tokensOf('cold'))).toEqual(new Set(['cold-1']))
})

test('so they do with a real authorization server, found by its metadata', async () => {
  const answers = await Promise.all(Array.from({ length: 100 }, () => ask('real')))
  expect(statusesOf(answers)).toEqual([200])
  expect(await oidc.tokenRequests()).toBe(1)
})

test('a 401 to a token has another one minted, and the GET sent once more', async () => {
  verdicts.set('renewed', (token) => (token === 'renewed-1' ? UNAUTHORIZED : OK))
  const { status, text } = await ask('renewed')
  expect(status).toBe(200)
  expect(text).not.toContain('WWW-Authenticate')
  expect(tokensOf('renewed')).toEqual(['renewed-1', 'renewed-2'])
  expect(mintsOf('renewed')).toHaveLength(2)
  const [entry] = await entriesOf('renewed', 1)
  expect(entry).toMatchObject({ status: 200, resends: 1, credential: { version: 'token 2' } })
})

test('a POST is not sent again: its 401 goes to the caller without the challenge, and the next one has another token', async () => {
  verdicts.set('posted', (token) => (token === 'posted-1' ? UNAUTHORIZED : OK))
  const first = await post('posted')
  expect(first.status).toBe(401)
  expect(first.text).toMatch(/\r\n\r\nno$/)
  expect(first.text).not.toMatch(/www-authenticate|proxy-status/i)
  expect(tokensOf('posted')).toEqual(['posted-1'])
  await eventually(() => mintsOf('posted')[1], 'a second mint')
  expect((await post('posted')).status).toBe(200)
  expect(tokensOf('posted')).toEqual(['posted-1', 'posted-2'])
  const entries = await entriesOf('posted', 2)
  expect(entries).toMatchObject([
    { status: 401, resends: 0, credential: { version: 'token 1' } },
    { status: 200, resends: 0, credential: { version: 'token 2' } },
  ])
})

test('J18: a 403 is an answer like any other: no other token is minted for it', async () => {
  verdicts.set('forbidden', () => [{ send: 'HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno' }])
  for (let round = 0; round < 3; round++) {
    const { status, text } = await ask('forbidden')
    expect([status, text.endsWith('\r\n\r\nno')]).toEqual([403, true])
  }
  expect(tokensOf('forbidden')).toEqual(['forbidden-1', 'forbidden-1', 'forbidden-1'])
  expect(mintsOf('forbidden')).toHaveLength(1)
})

test('J18: a 401 without a challenge has one other token minted, and goes to the caller', async () => {
  verdicts.set('bare', () => [{ send: 'HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno' }])
  for (let round = 0; round < 3; round++) expect((await ask('bare')).status).toBe(401)
  expect(mintsOf('bare')).toHaveLength(2)
  expect(tokensOf('bare')).toEqual(['bare-1', 'bare-2', 'bare-2', 'bare-2'])
})

test('J18: an upstream that says 401 to everything gets its answer relayed, and causes no storm of mints', async () => {
  verdicts.set('rejected', () => UNAUTHORIZED)
  for (let round = 0; round < 5; round++) {
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask('rejected')))
    expect(statusesOf(answers)).toEqual([401])
  }
  expect(mintsOf('rejected').length).toBeLessThanOrEqual(2)
  expect(tokensOf('rejected').length).toBeLessThanOrEqual(50 + 10)
})

test('while the issuer is down an unexpired token serves, and after its expiry nothing does', async () => {
  // Between a refresh that fails, at about 80 % of it, and its end there is a second.
  const lifetime = { access_token: 'outage-1', expires_in: 5 }
  mints.set('outage', (count) =>
    count === 1 ? tokenAnswer(lifetime) : { status: 503, headers: { 'retry-after': '3' } },
  )
  const mintedAt = performance.now()
  expect((await ask('outage')).status).toBe(200)
  await eventually(
    async () => ((await ask('outage')).status === 200 && mintsOf('outage').length > 1 ? true : undefined),
    'a failed refresh',
  )
  const refused = await eventually(async () => {
    const answer = await ask('outage')
    return answer.status === 200 ? undefined : answer
  }, 'the end of the token')
  expect(performance.now() - mintedAt).toBeGreaterThan(4_500)
  expect(refused.text).toMatch(/^HTTP\/1.1 503 [\s\S]*\r\nRetry-After: [123]\r\n[\s\S]*"credential-unavailable"/)
  const sent = tokensOf('outage').length
  expect((await ask('outage')).status).toBe(503)
  expect(tokensOf('outage')).toHaveLength(sent)
  expect(mintsOf('outage')).toHaveLength(2)
})

test('an issuer that knows the client no more is not asked again and again', async () => {
  mints.set('refused', () => ({
    status: 401,
    body: { error: 'invalid_client' },
    headers: { 'www-authenticate': 'Basic' },
  }))
  const answers = await Promise.all(Array.from({ length: 10 }, () => ask('refused')))
  answers.push(await ask('refused'))
  expect(statusesOf(answers)).toEqual([502])
  expect(answers[0]?.text).toMatch(/"credential-failed"/)
  expect(answers[0]?.text).not.toMatch(/retry-after|www-authenticate|invalid_client/i)
  expect(mintsOf('refused')).toHaveLength(1)
})

test('a real authorization server refuses a wrong secret, and the caller learns no more than that', async () => {
  const { status, text } = await ask('stranger')
  expect(status).toBe(502)
  expect(text).not.toMatch(/invalid_client|oidc|login/)
})

test('a client secret that is rotated serves at the next mint, without a restart', async () => {
  const basic = (secret: string) => `Basic ${Buffer.from(`crm:${secret}`).toString('base64')}`
  const isNew = ({ rawHeaders }: RecordedRequest) => rawHeaders.includes(basic(ROTATED_SECRET))
  mints.set('rotated', (_count, request) =>
    isNew(request) ? tokenAnswer({ access_token: 'rotated-1' }) : { status: 401, body: { error: 'invalid_client' } },
  )
  expect((await ask('rotated')).status).toBe(502)
  writeSecret(directory, 'rotated.next', ROTATED_SECRET)
  renameSync(join(directory, 'rotated.next'), join(directory, 'rotated'))
  await eventually(async () => ((await ask('rotated')).status === 200 ? true : undefined), 'the new secret')
  expect(mintsOf('rotated').map(isNew)).toEqual([false, true])
})

test('an issuer at a private address that nobody allowed is not even connected to', async () => {
  const { status, text } = await ask('inside')
  expect(status).toBe(502)
  expect(text).toContain('"credential-failed"')
  expect(inside.connections).toHaveLength(0)
})

test('a redirect of the issuer is not followed', async () => {
  const location = `https://login.test:${issuer.port}/elsewhere`
  mints.set('redirected', () => ({ status: 307, headers: { location } }))
  expect((await ask('redirected')).status).toBe(502)
  expect(mintsOf('redirected')).toHaveLength(1)
  expect(mintsOf('elsewhere')).toHaveLength(0)
})

test.each([
  ['split', 'CR and LF', 'split-1\r\nX-Evil: 1'],
  ['nul', 'NUL', 'nul-\u0000'],
  ['accented', 'letters beyond ASCII', 'accented-\u00e9'],
])('a token of %s, with %s, never becomes a header', async (name, _what, token) => {
  mints.set(name, () => tokenAnswer({ access_token: token }))
  const { status, text } = await ask(name)
  expect(status).toBe(502)
  expect(text).toContain('"credential-failed"')
  expect(mintsOf(name)).toHaveLength(1)
  expect(tokensOf(name)).toEqual([])
})

test.each(['login.test', 'inside.test', 'oidc.test'])(
  'no caller reaches %s because a token comes from there',
  async (host) => {
    const before = issuer.requests.length
    for (const port of ['', `:${issuer.port}`]) {
      const head = `POST http://${host}${port}/token HTTP/1.1\r\nHost: ${host}\r\n${PROOF}Content-Length: 0\r\n\r\n`
      const { status, text } = await sendRaw(sallyport.doors[0]?.address ?? '', head, { until: /\}\n$/ })
      expect(status).toBe(403)
      expect(text).toContain('"host-not-allowed"')
    }
    expect(issuer.requests).toHaveLength(before)
  },
)

test('the secret that mints, and what it minted, is in no line that was printed', () => {
  for (const secret of [CREDENTIAL, ROTATED_SECRET, CALLER_KEY, 'cold-1', 'renewed-2'])
    expect(sallyport.output()).not.toContain(secret)
})

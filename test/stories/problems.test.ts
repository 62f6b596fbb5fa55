import { renameSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import type { ProblemRow } from '../../src/core/problem-row.ts'
import { type ProblemCode, problems } from '../../src/core/problems.ts'
import { writeBrokenProgram } from '../support/broken-program.ts'
import { makeOddRoot } from '../support/certificates.ts'
import { type DnsStub, startDnsStub } from '../support/dns-stub.ts'
import { helloFor } from '../support/hello.ts'
import { closing } from '../support/peers.ts'
import { type QuirkIssuer, startQuirkIssuer } from '../support/quirk-issuer.ts'
import { type RawAnswer, sendRaw, WHOLE_ANSWER } from '../support/raw-client.ts'
import {
  eventually,
  privateDirectory,
  type Running,
  reloadSallyport,
  remove,
  startSallyport,
  writeSecret,
} from '../support/sallyport.ts'
import { jwksOf, makeSigningKey } from '../support/tokens.ts'
import { openTunnel, talk } from '../support/tunnel.ts'
import { OK, type RawUpstream, startUpstream } from '../support/upstream.ts'
import {
  authority,
  CALLER_KEY,
  CREDENTIAL,
  crmSettings,
  doorOf,
  hold,
  PROOF,
  startCrm,
  startCrmForTest,
  stopCrm,
} from './crm.ts'
import { OWN_DETAILS, OWN_FIELDS } from './problem-details.ts'
import { problemSettings } from './problem-settings.ts'
import { makeSigners, openTls, showing, tlsDirectory, tlsSettings } from './tls-site.ts'
import { AWAY, askTooOften, tokenField } from './wrong-proofs.ts'

/** In every request, in each part that could be echoed. */
const MARKER = 'echo-canary'

const signer = await makeSigningKey()
const keys = privateDirectory()
const jwks = writeSecret(keys, 'jwks.json', jwksOf(signer))

let upstream: RawUpstream
let issuer: QuirkIssuer
let names: DnsStub
let sallyport: Running
let slow: Promise<RawAnswer>
let certified: Promise<Running> | undefined

beforeAll(async () => {
  upstream = await startUpstream(answerOf, await authority.issue(['api.crm.test', 'busy.test']))
  issuer = await startQuirkIssuer(await authority.issue(['login.test']))
  issuer.answer(({ target }) => ISSUER_ANSWERS[target] ?? {})
  names = await startDnsStub({})
  sallyport = await startCrm({
    port: upstream.port,
    settings: await problemSettings({ upstream, issuer, names, jwks, marker: MARKER }),
  })
  // The one refusal that takes its time: it waits while the others are tried.
  slow = sendRaw(forward(), `GET http://api.crm.test/${MARKER} HTTP/1.1\r\nHost: ${MARKER}`, { deadlineMs: 40_000 })
})

afterAll(async () => {
  await stopCrm(sallyport)
  await stopCrm(await certified)
  await upstream?.close()
  await issuer?.stop()
  names?.close()
  remove(keys)
})

function answerOf(request: string) {
  if (request.includes('/hang')) return ['hang'] as const
  return request.includes('/garbage') ? [{ send: 'this is not HTTP\r\n\r\n' }] : OK
}

const ISSUER_ANSWERS: Readonly<Record<string, object>> = {
  '/refuses': { status: 401, body: { error: 'invalid_client', error_description: MARKER } },
  '/fails': { status: 503, headers: { 'retry-after': '7' }, body: MARKER },
}

function forward(): string {
  return sallyport.doors[0]?.address ?? ''
}

function reverse(): string {
  return sallyport.doors[1]?.address ?? ''
}

interface Asking {
  readonly host?: string
  readonly method?: string
  readonly path?: string
  readonly version?: string
  readonly proof?: string
  /** Whole lines. */
  readonly fields?: string
  readonly body?: string
  readonly at?: string
}

/** Asks the forward door, with the marker wherever there is room. */
function ask(asking: Asking = {}): Promise<RawAnswer> {
  const { host = 'api.crm.test', method = 'GET', path = `/${MARKER}/1`, version = 'HTTP/1.1', at = forward() } = asking
  const { proof = PROOF, fields = '', body = '' } = asking
  const head = `${method} http://${host}${path}?q=${MARKER} ${version}\r\nHost: ${host}\r\n`
  return sendRaw(at, `${head}X-Marker: ${MARKER}\r\n${proof}${fields}\r\n${body}`, { until: WHOLE_ANSWER })
}

/** Asks the reverse door for all connections. */
function askReverse(path: string, fields: string): Promise<RawAnswer> {
  const key = `Authorization: Bearer ${CALLER_KEY}\r\n`
  return sendRaw(reverse(), `GET ${path} HTTP/1.1\r\n${key}${fields}X-Marker: ${MARKER}\r\n\r\n`, {
    until: WHOLE_ANSWER,
  })
}

/** Opens a tunnel, with the marker beside the proof. */
async function tunnelTo(host: string, port = upstream.port, at = forward()) {
  const fields = `X-Marker: ${MARKER}\r\n${PROOF}`
  const { socket, status, text } = await openTunnel(at, `${host}:${port}`, { fields })
  expect(status, text).toBe(200)
  onTestFinished(() => void socket.destroy())
  return socket
}

/** Asks for another host than the tunnel's. */
async function askMisdirected(): Promise<RawAnswer> {
  const request = `GET /${MARKER}/1 HTTP/1.1\r\nHost: ${MARKER}.test\r\n\r\n`
  const { text, closed } = await talk(await tunnelTo('api.crm.test', 80), request, WHOLE_ANSWER)
  return { text, closed, status: Number(text.slice(9, 12)) }
}

/** Problems of a tunnel: behind its 200 there is nobody left who would read an answer. */
type Unanswerable = 'access-revoked' | 'certificate-rejected' | 'tunnel-closed' | 'tunnel-unfit'

/** Problems that a door with a face alone has, told in its own envelope: test/stories/unity-catalog.test.ts. */
type OfFaces = 'body-malformed' | 'endpoint-unknown'

/** The problem that takes redirected connections, and so root: test/stories/transparent.test.ts. */
type OfRedirection = 'destination-unnamed'

/**
 * What leads to each code, on a running sidecar: a new code without a story does not compile.
 */
const stories = {
  'request-malformed': () => ask({ fields: `Host: ${MARKER}\r\n` }),
  'target-malformed': () =>
    sendRaw(forward(), `GET /${MARKER} HTTP/1.1\r\nHost: ${MARKER}\r\n${PROOF}\r\n`, { until: WHOLE_ANSWER }),
  'caller-unknown': () => ask({ proof: `Proxy-Authorization: Bearer ${MARKER}\r\n` }),
  'token-rejected': async () => ask({ proof: await tokenField(signer, { sub: MARKER, aud: MARKER }) }),
  'proof-unverifiable': async () => ask({ proof: await tokenField(signer, { sub: MARKER, iss: AWAY }) }),
  'scope-insufficient': async () =>
    ask({ method: 'POST', fields: 'Content-Length: 0\r\n', proof: await tokenField(signer, { sub: MARKER }) }),
  'certificate-unknown': askAsStranger,
  'identity-missing': async () =>
    ask({ host: 'onbehalf.test', proof: await tokenField(signer, { sub: MARKER, role: MARKER }) }),
  'host-not-allowed': () => ask({ host: `${MARKER}.test` }),
  'connection-missing': () => ask({ host: 'unnamed.test' }),
  'connection-unknown': () => askReverse(`/${MARKER}/1`, 'Host: localhost\r\n'),
  'port-not-allowed': () => ask({ host: 'api.crm.test:9' }),
  'path-not-allowed': () => ask({ host: 'based.test' }),
  'grant-missing': () => ask({ host: 'ungranted.test' }),
  'grant-expired': () => ask({ host: 'expired.test' }),
  'rule-not-matched': () => ask({ path: `/other/${MARKER}` }),
  'connection-disabled': () => ask({ host: 'disabled.test' }),
  'login-required': askWithoutLogin,
  'audit-full': askUnrecordable,
  'store-lost': askLost,
  'connect-refused': () =>
    sendRaw(forward(), `CONNECT untunnelled.test:443 HTTP/1.1\r\nHost: ${MARKER}.test\r\n${PROOF}\r\n`),
  'authority-mismatch': askMisdirected,
  'upgrade-refused': () =>
    ask({ fields: `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: ${MARKER}\r\n` }),
  'method-not-allowed': () => ask({ method: 'TRACE' }),
  'request-timeout': () => slow,
  'body-too-large': () =>
    ask({ method: 'POST', fields: 'Transfer-Encoding: chunked\r\n', body: `7d1\r\n${'a'.repeat(2001)}\r\n0\r\n\r\n` }),
  'target-too-long': () => ask({ path: `/${MARKER}/${'a'.repeat(8192)}` }),
  'expectation-failed': () => ask({ fields: `Expect: ${MARKER}\r\n` }),
  'host-misdirected': () => askReverse(`/crm/${MARKER}/1`, `Host: ${MARKER}.test\r\n`),
  'cross-site': () => askReverse(`/crm/${MARKER}/1`, `Host: localhost\r\nOrigin: https://${MARKER}.test\r\n`),
  'too-many-requests': askWhileBusy,
  'head-too-large': () => ask({ fields: `X-Long: ${'a'.repeat(17_000)}\r\n` }),
  'internal-error': askBrokenHouse,
  'coding-not-implemented': () =>
    ask({ method: 'POST', fields: 'Transfer-Encoding: gzip, chunked\r\n', body: '0\r\n\r\n' }),
  'credential-failed': () => ask({ host: 'refused.test' }),
  'credential-unavailable': () => ask({ host: 'failing.test' }),
  'address-not-allowed': () => ask({ host: 'inside.test' }),
  'upstream-unresolved': () => ask({ host: 'nowhere.test' }),
  'upstream-unreachable': () => ask({ host: 'closed.test' }),
  'upstream-untrusted': () => ask({ host: 'impostor.test' }),
  'upstream-malformed': () => ask({ path: `/${MARKER}/garbage` }),
  'upstream-timeout': () => ask({ path: `/${MARKER}/hang` }),
  'version-not-supported': () => ask({ version: 'HTTP/2.0' }),
  'placeholder-misplaced': () => ask({ host: 'placed.test' }),
  'loop-detected': askAgain,
  'not-redirected': () => ask({ at: doorOf(sallyport, 'transparent') }),
  'too-many-failures': () => askTooOften(forward(), MARKER),
} satisfies Record<Exclude<ProblemCode, Unanswerable | OfFaces | OfRedirection>, () => Promise<RawAnswer>>

/** What leads to those that are told by the record alone. */
const silentStories: Readonly<Record<Unanswerable, () => Promise<void>>> = {
  async 'access-revoked'() {
    const connection = { credential: { kind: 'none' }, connect: 'tunnel', tunnel: 'any' }
    house = await startCrmForTest({ port: upstream.port, connection })
    const tunnel = await tunnelTo('api.crm.test', upstream.port, house.doors[0]?.address)
    await reloadSallyport(house, crmSettings({ port: upstream.port, connection, settings: { grants: [] } }))
    await closing(tunnel)
  },
  async 'certificate-rejected'() {
    const socket = await tunnelTo('api.crm.test')
    // Up to ServerHelloDone; then the alert of a client that knows no such authority.
    await talk(socket, await helloFor('api.crm.test', { maxVersion: 'TLSv1.2' }), /\x0e\x00\x00\x00$/)
    socket.end(Buffer.from([21, 3, 3, 0, 2, 2, 48]))
  },
  async 'tunnel-closed'() {
    await closing(await tunnelTo('unread.test'))
  },
  async 'tunnel-unfit'() {
    await talk(await tunnelTo('api.crm.test'), `GET /${MARKER} HTTP/1.1\r\nHost: ${MARKER}\r\n\r\n`, /(?!)/)
  },
}

async function askWhileBusy(): Promise<RawAnswer> {
  hold(forward(), `GET http://busy.test/${MARKER}/hang HTTP/1.1\r\nHost: busy.test\r\n${PROOF}\r\n`)
  await eventually(() => upstream.heads().find((head) => head.includes('busy.test')), 'a first request in flight')
  return ask({ host: 'busy.test' })
}

/** Sends back what this very process wrote into Via the first time. */
async function askAgain(): Promise<RawAnswer> {
  await ask()
  const via = upstream
    .heads()
    .flatMap((head) => /^via: .*\r\n/im.exec(head) ?? [])
    .at(-1)
  return ask({ fields: via ?? '' })
}

let house: Running | undefined

/** At a TLS door, with a certificate that nobody there knows. */
async function askAsStranger(): Promise<RawAnswer> {
  const signers = await makeSigners()
  certified = tlsDirectory(signers).then((directory) => startSallyport(directory, tlsSettings(upstream.port)))
  house = await certified
  const stranger = showing(await (await makeOddRoot()).issue({ dns: [`${MARKER}.test`] }))
  const socket = await openTls(house.doors[0]?.address ?? '', { ca: signers.doors.certPem, ...stranger })
  const request = `GET http://api.crm.test/${MARKER} HTTP/1.1\r\nHost: api.crm.test\r\nX-Marker: ${MARKER}\r\n\r\n`
  const { text, closed } = await talk(socket, request, WHOLE_ANSWER)
  return { text, closed, status: Number(text.slice(9, 12)) }
}

/** In this one, OpenSSL fails where nothing expects it to. */
async function askBrokenHouse(): Promise<RawAnswer> {
  house = await startCrmForTest({ port: upstream.port, nodeFlags: [writeBrokenProgram(keys, MARKER)] })
  return ask({ at: house.doors[0]?.address ?? '' })
}

function logOf(running: Running | undefined): string {
  return running?.output() ?? ''
}

/** In this one, the disk of the audit is full. */
async function askUnrecordable(): Promise<RawAnswer> {
  const sinks = [{ kind: 'json-lines', path: '/dev/full' }]
  house = await startCrmForTest({ port: upstream.port, settings: { audit: { sinks } } })
  return ask({ at: house.doors[0]?.address ?? '' })
}

/** In this one, the connection acts for somebody who has not logged in. */
async function askWithoutLogin(): Promise<RawAnswer> {
  const credential = {
    kind: 'authorization-code',
    tokenEndpoint: `https://login.test:${issuer.port}/token`,
    authorizationEndpoint: `https://login.test:${issuer.port}/authorize`,
    clientId: 'crm',
    clientSecret: { file: 'credential' },
    identity: 'per-caller',
  }
  const store = { kind: 'sqlite', path: 'state/store.db', key: { env: 'STORE_KEY' } }
  const env = { STORE_KEY: Buffer.alloc(32).toString('base64') }
  house = await startCrmForTest({ port: upstream.port, connection: { credential }, settings: { store }, env })
  return ask({ at: house.doors[0]?.address ?? '' })
}

/** In this one, somebody has taken the file of the store away. */
async function askLost(): Promise<RawAnswer> {
  const store = { kind: 'sqlite', path: 'state/store.db', staleMs: 1000, pollMs: 50 }
  house = await startCrmForTest({ port: upstream.port, settings: { store } })
  renameSync(join(house.directory, 'state/store.db'), join(house.directory, 'state/elsewhere.db'))
  const at = house.doors[0]?.address ?? ''
  return eventually(async () => {
    const answer = await ask({ at })
    return answer.status === 503 ? answer : undefined
  }, 'the store to be lost for too long')
}

test.each(Object.keys(stories) as (keyof typeof stories)[] /* the keys of a literal */)(
  '%s: told by status, head and body, and recorded under its instance',
  async (code) => {
    house = undefined
    const answer = await stories[code]()
    const row: ProblemRow = problems[code]
    const [head = '', body = ''] = answer.text.split('\r\n\r\n')
    expect(answer.status).toBe(row.status)
    expect(head).toMatch(/^Content-Type: application\/problem\+json\r$/m)
    expect(head).toMatch(/^Cache-Control: no-store\r$/m)
    expect(head).toContain(`\r\nProxy-Status: sallyport; error=${row.proxyError}; details="${code}"`)
    const { instance, ...told } = JSON.parse(body)
    const type = `urn:sallyport:problem:${code}`
    expect(told).toEqual({ type, title: row.title, status: row.status, detail: OWN_DETAILS[code] ?? row.remedy, code })
    expect(head.includes('\r\nProxy-Authenticate: ')).toBe(row.status === 407)
    expect(head.includes('\r\nAllow: ')).toBe(row.status === 405)
    expect(`${head}\r\n`).toMatch(OWN_FIELDS[code] ?? /^/)
    for (const secret of [MARKER, CALLER_KEY, CREDENTIAL]) expect(answer.text).not.toContain(secret)
    const id = String(instance).replace('urn:uuid:', '')
    // The one that cannot be recorded is in the log.
    if (code === 'audit-full') return expect(logOf(house)).toContain(id)
    expect(await entryOf(id, house ?? sallyport)).toMatchObject({ code, status: row.status, ended: 'complete' })
  },
)

test.each(Object.keys(silentStories) as Unanswerable[] /* the keys of a literal */)(
  '%s: told by the record, under the tunnel that it ended',
  async (code) => {
    house = undefined
    await silentStories[code]()
    const look = async () => (await (house ?? sallyport).audit(0)).find((entry) => entry['code'] === code)
    const entry = await eventually(look, `an entry of ${code}`)
    expect(entry).toMatchObject({ method: 'CONNECT', caller: 'checkout', status: 200, ended: 'broken' })
    expect(JSON.stringify(entry)).not.toContain(MARKER)
    expect(String(entry['reason']).length).toBeGreaterThan(10)
  },
)

test('a body that turns out malformed on its way is told under the instance of its own entry', async () => {
  const body = `5\r\nhello\r\nnot a length\r\n`
  const answer = await ask({ method: 'POST', fields: 'Transfer-Encoding: chunked\r\n', body })
  const { instance, code } = JSON.parse(answer.text.split('\r\n\r\n')[1] ?? '')
  expect([answer.status, code]).toEqual([400, 'request-malformed'])
  expect(await entryOf(String(instance).replace('urn:uuid:', ''), sallyport)).toMatchObject({
    method: 'POST',
    path: `/${MARKER}/1`,
  })
})

test('a refusal is recorded once', async () => {
  const entries = await sallyport.audit(0)
  expect(new Set(entries.map(({ id }) => id)).size).toBe(entries.length)
})

test('at a reverse door an unknown caller is challenged as an origin does it', async () => {
  const { status, text } = await sendRaw(reverse(), `GET /crm/${MARKER}/1 HTTP/1.1\r\nHost: localhost\r\n\r\n`, {
    until: WHOLE_ANSWER,
  })
  expect(status).toBe(401)
  expect(text).toMatch(/^WWW-Authenticate: Bearer realm="sallyport"\r$/m)
  expect(JSON.parse(text.split('\r\n\r\n')[1] ?? '')).toMatchObject({ code: 'caller-unknown', status: 401 })
})

test('what was refused never reached an upstream', () => {
  const sent = upstream.heads().map((head) => head.split('\r\n')[0])
  const allowed = [`GET /${MARKER}/1?q=${MARKER} HTTP/1.1`, `GET /${MARKER}/hang HTTP/1.1`]
  const failed = [`GET /${MARKER}/garbage?q=${MARKER} HTTP/1.1`, `GET /${MARKER}/hang?q=${MARKER} HTTP/1.1`]
  const bodied = `POST /${MARKER}/1?q=${MARKER} HTTP/1.1`
  expect(sent.filter((line = '') => ![...allowed, ...failed, bodied].includes(line))).toEqual([])
})

function entryOf(id: string, running: Running): Promise<Record<string, unknown>> {
  return eventually(async () => (await running.audit(0)).find((entry) => entry['id'] === id), `the entry ${id}`)
}

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { type DpopServer, startDpopServer } from '../support/dpop-server.ts'
import { type DpopUpstream, type Judged, startDpopUpstream } from '../support/dpop-upstream.ts'
import { sendRaw } from '../support/raw-client.ts'
import { eventually, type Running } from '../support/sallyport.ts'
import { openTunnel, secureTunnel, talk } from '../support/tunnel.ts'
import { OK, type RawUpstream, startUpstream } from '../support/upstream.ts'
import {
  authority,
  CREDENTIAL,
  connectionTo,
  doorOf,
  forwardRequest,
  hold,
  PROOF,
  reverseRequest,
  startCrm,
  stopCrm,
} from './crm.ts'

const WHOLE = /\r\n\r\n(?:ok|no)$|\r\n\r\n[\s\S]*\n$/
const HOST = 'api.crm.test'
const H2_HOST = 'h2.crm.test'
const MINTED = ['m0.crm.test', 'm1.crm.test']
const HOSTS = [HOST, H2_HOST, ...MINTED]
const AUDIENCE = 'https://api.crm.test'

let issuer: DpopServer
let upstream: DpopUpstream
let plain: RawUpstream
let running: Running
let from: number

beforeAll(async () => {
  issuer = await startDpopServer(authority, { secret: CREDENTIAL, audience: AUDIENCE })
  const identity = await authority.issue([HOST, H2_HOST])
  upstream = await startDpopUpstream({ identity, jwks: issuer.jwks, audience: AUDIENCE })
  const credential = {
    kind: 'client-credentials',
    issuer: issuer.issuer,
    clientId: 'crm',
    clientSecret: { file: 'credential' },
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: ['127.0.0.0/8'],
    dpop: true,
  }
  plain = await startUpstream(() => OK, await authority.issue(MINTED))
  const minted = (path: string) => ({
    credential: { kind: 'http-mint', connection: 'crm', path, body: { a: 1 }, tokenPointer: '/token' },
  })
  running = await startCrm({
    port: upstream.port,
    settings: {
      ca: { directory: 'ca' },
      allowlist: HOSTS,
      connections: {
        crm: connectionTo(HOST, upstream.port, { credential, inject: { kind: 'dpop' }, websocket: true }),
        ...Object.fromEntries(
          MINTED.map((host, at) => [`m${at}`, connectionTo(host, plain.port, minted(`/mint/${at}`))]),
        ),
        h2: connectionTo(H2_HOST, upstream.port, { credential, inject: { kind: 'dpop' }, http2: true }),
      },
      grants: ['crm', 'h2', 'm0', 'm1'].map((connection) => ({ caller: 'checkout', connection })),
      dns: { hosts: Object.fromEntries([...HOSTS, 'login.test'].map((host) => [host, ['127.0.0.1']])) },
    },
  })
})

beforeEach(() => {
  from = upstream.seen.length
  upstream.wantNonce(undefined)
})

afterAll(async () => {
  await stopCrm(running)
  await upstream?.stop()
  await plain?.close()
  await issuer?.stop()
})

/** Since the test began. */
function seen(): readonly Judged[] {
  return upstream.seen.slice(from)
}

const forward = (method: string, path: string, more?: string) =>
  sendRaw(doorOf(running, 'forward'), forwardRequest(method, path, more), { until: WHOLE })

const doors = {
  forward: (path: string) => forward('GET', path),
  reverse: (path: string) => sendRaw(doorOf(running, 'reverse'), reverseRequest('GET', path), { until: WHOLE }),
  async 'opened tunnel'(path: string) {
    const target = `${HOST}:${upstream.port}`
    const { socket } = await openTunnel(doorOf(running, 'forward'), target, { fields: PROOF })
    onTestFinished(() => void socket.destroy())
    const ca = readFileSync(join(running.directory, 'ca', 'ca.pem'), 'utf8')
    return talk(await secureTunnel(socket, HOST, { ca }), `GET ${path} HTTP/1.1\r\nHost: ${target}\r\n\r\n`, WHOLE)
  },
}

describe.each(Object.entries(doors))('through the door %s', (_name, ask) => {
  test('a token that is bound to our key arrives, with a proof for this very request', async () => {
    const answers = [await ask('/v1/contacts?page=1'), await ask('/v1/contacts?page=2')]
    expect(answers.map(({ text }) => text.slice(9, 12))).toEqual(['200', '200'])
    expect(seen().map(({ wrong, path }) => [wrong, path])).toEqual([
      ['', '/v1/contacts?page=1'],
      ['', '/v1/contacts?page=2'],
    ])
    expect(seen()[0]?.proof).not.toBe(seen()[1]?.proof)
  })

  test('an upstream that wants a nonce gets it at once, and the caller sees nothing of that', async () => {
    upstream.wantNonce(`nonce-of-${_name.replace(' ', '-')}`)
    const { text } = await ask('/v1/contacts')
    expect(text).toMatch(/^HTTP\/1.1 200 /)
    expect(text).not.toMatch(/dpop/i)
    expect(seen().map(({ wrong }) => wrong)).toEqual(['use_dpop_nonce: nonce', ''])
    await ask('/v1/contacts')
    expect(seen().map(({ wrong }) => wrong)).toEqual(['use_dpop_nonce: nonce', '', ''])
    expect(new Set(seen().map(({ token }) => token)).size).toBe(1)
  })
})

test('what one request has shown is good for no other', async () => {
  await forward('GET', '/v1/contacts')
  const [shown] = seen()
  if (!shown) throw new Error('nothing was sent')
  expect(await upstream.judge(shown)).toBe('invalid_dpop_proof: jti')
  expect(await upstream.judge({ ...shown, path: '/v1/others' })).toBe('invalid_dpop_proof: htu')
  expect(await upstream.judge({ ...shown, method: 'DELETE' })).toBe('invalid_dpop_proof: htm')
})

describe('a request that does something is sent again for a nonce, since nothing was done', () => {
  const chunked = 'Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n'
  test.each([
    ['a POST', 'POST', 'Content-Length: 2\r\n\r\n{}', '{}'],
    ['a POST without an announced length', 'POST', chunked, '{}'],
    ['as much as is kept', 'PUT', `Content-Length: 65536\r\n\r\n${'x'.repeat(65_536)}`, 'x'.repeat(65_536)],
    ['a POST of nothing', 'POST', 'Content-Length: 0\r\n\r\n', ''],
    ['a DELETE', 'DELETE', '\r\n', ''],
  ])('%s', async (what, method, more, body) => {
    upstream.wantNonce(`nonce-for-${what.replaceAll(' ', '-')}`)
    const answer = await forward(method, '/v1/contacts', more)
    expect(answer.text).toMatch(/^HTTP\/1.1 200 /)
    expect(seen().map((one) => [one.wrong, one.method])).toEqual([
      ['use_dpop_nonce: nonce', method],
      ['', method],
    ])
    expect(seen()[1]?.body()).toBe(body)
    expect(new Set(seen().map(({ proof }) => proof)).size).toBe(2)
  })

  test('over HTTP/2', async () => {
    upstream.wantNonce('nonce-for-posts-over-http-2')
    const head = `POST http://${H2_HOST}/v1/contacts HTTP/1.1\r\nHost: ${H2_HOST}\r\n${PROOF}`
    const answer = await sendRaw(doorOf(running, 'forward'), `${head}Content-Length: 2\r\n\r\n{}`, { until: WHOLE })
    expect(answer.status).toBe(200)
    expect(seen().map(({ wrong, version }) => [wrong, version])).toEqual([
      ['use_dpop_nonce: nonce', '2.0'],
      ['', '2.0'],
    ])
    expect(seen()[1]?.body()).toBe('{}')
  })

  test('but not a body that is too much to be kept: the caller’s next one has the nonce', async () => {
    upstream.wantNonce('nonce-for-much')
    const much = () => forward('POST', '/v1/contacts', `Content-Length: 65537\r\n\r\n${'x'.repeat(65_537)}`)
    const first = await much()
    expect(first.text).toMatch(/^HTTP\/1.1 401 /)
    expect(first.text).not.toMatch(/www-authenticate|dpop/i)
    expect((await much()).status).toBe(200)
    expect(seen().map(({ wrong }) => wrong)).toEqual(['use_dpop_nonce: nonce', ''])
  })

  test('nor one that is still on its way when it is refused', async () => {
    upstream.wantNonce('nonce-for-what-comes-late', { isHasty: true })
    const line = hold(doorOf(running, 'forward'), forwardRequest('POST', '/v1/contacts', 'Content-Length: 4\r\n\r\n{}'))
    await eventually(() => /^HTTP\/1.1 401 /.test(line.text()) || undefined, 'the refusal')
    expect(seen().map(({ wrong }) => wrong)).toEqual(['use_dpop_nonce: nonce'])
  })

  test('nor for a nonce that it is not told, nor for a second one', async () => {
    const post = () => forward('POST', '/v1/contacts', 'Content-Length: 2\r\n\r\n{}')
    upstream.wantNonce('nonce-that-never-comes', { said: () => '' })
    expect((await post()).status).toBe(401)
    expect(seen()).toHaveLength(1)
    let count = 0
    upstream.wantNonce('nonce-that-is-another', { said: () => `said-${++count}` })
    expect((await post()).status).toBe(401)
    expect(seen()).toHaveLength(3)
  })
})

test('a token that is minted through such a connection is minted with the nonce, once it is wanted', async () => {
  upstream.wantNonce('nonce-of-mints')
  const ask = (host = '') =>
    sendRaw(doorOf(running, 'forward'), `GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\n${PROOF}\r\n`, {
      until: WHOLE,
    })
  expect((await ask(MINTED[0])).status).toBe(200)
  expect(plain.heads().at(-1)).toMatch(/authorization: Bearer minted/i)
  expect(seen().map(({ wrong, method, path }) => [wrong, method, path])).toEqual([
    ['use_dpop_nonce: nonce', 'POST', '/mint/0'],
    ['', 'POST', '/mint/0'],
  ])
  expect(new Set(seen().map(({ token }) => token)).size).toBe(1)
  expect((await ask(MINTED[1])).status).toBe(200)
  expect(seen().slice(2)).toMatchObject([{ wrong: '', path: '/mint/1' }])
})

test('over HTTP/2 it is the same', async () => {
  upstream.wantNonce('nonce-over-http-2')
  const bytes = `GET http://${H2_HOST}/v1/contacts HTTP/1.1\r\nHost: ${H2_HOST}\r\n${PROOF}\r\n`
  expect((await sendRaw(doorOf(running, 'forward'), bytes, { until: WHOLE })).status).toBe(200)
  expect(seen().map(({ wrong, version }) => [wrong, version])).toEqual([
    ['use_dpop_nonce: nonce', '2.0'],
    ['', '2.0'],
  ])
})

test('a WebSocket handshake that was refused for want of a nonce leaves it for the next one, and the token as it is', async () => {
  upstream.wantNonce('nonce-of-handshakes')
  const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n'
  const handshake = () => forward('GET', '/live', `Connection: Upgrade\r\nUpgrade: websocket\r\n${key}\r\n`)
  expect((await handshake()).status).toBe(401)
  // The upstream takes the proof, and speaks no WebSocket.
  expect((await handshake()).status).toBe(200)
  expect(seen().map(({ wrong }) => wrong)).toEqual(['use_dpop_nonce: nonce', ''])
  expect(new Set(seen().map(({ token }) => token)).size).toBe(1)
})

test('a proof of the caller’s own stays here', async () => {
  await forward('GET', '/v1/contacts', 'DPoP: mine\r\ndpop_: mine\r\nAuthorization: DPoP mine\r\n\r\n')
  expect(seen()).toMatchObject([{ wrong: '' }])
})

test('neither token nor proof is in what is printed or recorded', async () => {
  await forward('GET', '/v1/contacts')
  const told = running.output() + JSON.stringify(await running.audit(1))
  for (const { token, proof } of upstream.seen) {
    expect(told).not.toContain(token)
    expect(told).not.toContain(proof)
  }
})

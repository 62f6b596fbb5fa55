import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { helloFor } from '../support/hello.ts'
import { open, sendRaw, WHOLE_ANSWER } from '../support/raw-client.ts'
import { eventually, type Running, startSallyport } from '../support/sallyport.ts'
import { secureTunnel, talk } from '../support/tunnel.ts'
import { OK, type RawUpstream, startUpstream } from '../support/upstream.ts'
import { authority, CALLER_KEY, CREDENTIAL, connectionTo, doorOf, PROOF, stopCrm } from './crm.ts'
import { DOOR_TLS, makeSigners, openTls, showing, startTlsSite, tlsDirectory, tlsSettings } from './tls-site.ts'

const ANSWER = /\r\n\r\nok$/
const signers = await makeSigners()
const trust = { ca: signers.doors.certPem }

let upstream: RawUpstream
let running: Running

beforeAll(async () => {
  upstream = await startUpstream(
    (head) => (head.includes('/hang') ? ['hang'] : OK),
    await authority.issue(['api.crm.test']),
  )
  running = await startSallyport(await tlsDirectory(signers), tlsSettings(upstream.port))
})

afterAll(async () => {
  await stopCrm(running)
  await upstream?.close()
})

const forward = () => doorOf(running, 'forward')
const reverse = () => doorOf(running, 'reverse')

function request(path: string, proof = ''): string {
  return `GET http://api.crm.test${path} HTTP/1.1\r\nHost: api.crm.test\r\n${proof}\r\n`
}

async function entryOf(path: string) {
  return eventually(async () => (await running.audit(1)).find((entry) => entry['path'] === path), `an entry of ${path}`)
}

async function client(dns: string) {
  return showing(await signers.clients.issue({ dns: [dns] }))
}

test('a key over TLS: many requests on one connection, each with the credential', async () => {
  const socket = await openTls(forward(), trust)
  for (const path of ['/one', '/two', '/three'])
    expect((await talk(socket, request(path, PROOF), ANSWER)).text).toMatch(/^HTTP\/1\.1 200 /)
  expect(upstream.heads().at(-1)).toContain(`Authorization: Bearer ${CREDENTIAL}\r\n`)
  expect(upstream.bytes()).not.toContain(CALLER_KEY)
  expect(await entryOf('/three')).toMatchObject({ caller: 'checkout', status: 200 })
})

test.each(['TLSv1.2', 'TLSv1.3'] as const)('a certificate proves its caller, by %s', async (version) => {
  const at = { minVersion: version, maxVersion: version } as const
  const socket = await openTls(forward(), { ...trust, ...(await client('payments.test')), ...at })
  const path = `/by-certificate-${version}`
  expect((await talk(socket, request(path), ANSWER)).text).toMatch(/^HTTP\/1\.1 200 /)
  expect(await entryOf(path)).toMatchObject({ caller: 'payments', method: 'GET', proof: 'mtls', status: 200 })
})

test('an X.509-SVID proves its workload, also with an intermediate, and although clientCa knows it not', async () => {
  const below = await signers.prod.under()
  const svid = await below.issue({ uris: ['spiffe://prod.test/ns/a/sa/web'] })
  const socket = await openTls(forward(), { ...trust, ...showing(svid, below.certPem) })
  expect((await talk(socket, request('/by-svid'), ANSWER)).text).toMatch(/^HTTP\/1\.1 200 /)
  expect(await entryOf('/by-svid')).toMatchObject({ caller: 'prod.test/ns/a/sa/web', proof: 'spiffe' })
})

test('at a reverse door too, which is addressed by a name of its own', async () => {
  const socket = await openTls(reverse(), { ...trust, ...(await client('payments.test')) })
  const asked = (host: string, more = '') => `GET /reversed HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`
  expect((await talk(socket, asked('door.test'), ANSWER)).text).toMatch(/^HTTP\/1\.1 200 /)
  const refused = async (bytes: string) => (await talk(await openTls(reverse(), trust), bytes, WHOLE_ANSWER)).text
  expect(await refused(asked('evil.test'))).toMatch(/^HTTP\/1\.1 421 [\s\S]*"code":"host-misdirected"/)
  expect(await refused(asked('localhost', 'Origin: https://evil.test\r\n'))).toMatch(/^HTTP\/1\.1 403 /)
  expect(await refused(asked('localhost', 'Sec-Fetch-Site: cross-site\r\n'))).toMatch(/"code":"cross-site"/)
})

test('a certificate is not demanded; one that proves nobody is refused aloud, and does not spoil a key', async () => {
  const none = await openTls(forward(), trust)
  expect((await talk(none, request('/none'), WHOLE_ANSWER)).text).toMatch(/^HTTP\/1\.1 407 [\s\S]*caller-unknown/)
  const stranger = { ...trust, ...(await client('stranger.test')) }
  const refused = (await talk(await openTls(forward(), stranger), request('/stranger'), WHOLE_ANSWER)).text
  expect(refused).toMatch(/^HTTP\/1\.1 407 [\s\S]*Proxy-Authenticate: Basic [\s\S]*"code":"certificate-unknown"/)
  const keyed = await openTls(forward(), stranger)
  expect((await talk(keyed, request('/keyed', PROOF), ANSWER)).text).toMatch(/^HTTP\/1\.1 200 /)
  expect(await entryOf('/keyed')).toMatchObject({ caller: 'checkout' })
})

test('TLS in TLS: CONNECT, interception inside, the identity of the outer certificate', async () => {
  const outer = await openTls(forward(), { ...trust, ...(await client('payments.test')) })
  const target = `api.crm.test:${upstream.port}`
  const { text } = await talk(outer, `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`, /\r\n\r\n/)
  expect(text).toMatch(/^HTTP\/1\.1 200 /)
  outer.pause()
  const ca = readFileSync(join(running.directory, 'ca', 'ca.pem'), 'utf8')
  const inner = await secureTunnel(outer, 'api.crm.test', { ca })
  for (const path of ['/inside-1', '/inside-2'])
    expect((await talk(inner, `GET ${path} HTTP/1.1\r\nHost: ${target}\r\n\r\n`, ANSWER)).text).toMatch(/ 200 /)
  expect(upstream.heads().at(-1)).toContain(`Authorization: Bearer ${CREDENTIAL}\r\n`)
  expect(await entryOf('/inside-2')).toMatchObject({
    caller: 'payments',
    door: expect.stringMatching(/^intercept /),
  })
  inner.destroy()
})

test('a tunnel passes unopened through TLS, to the TLS of the upstream itself', async () => {
  const open = connectionTo('api.crm.test', upstream.port, { credential: { kind: 'none' }, connect: 'tunnel' })
  const site = await startTlsSite(signers, upstream.port, { connections: { crm: open }, ca: undefined })
  const outer = await openTls(doorOf(site, 'forward'), { ...trust, ...(await client('payments.test')) })
  const target = `api.crm.test:${upstream.port}`
  await talk(outer, `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`, /\r\n\r\n/)
  outer.pause()
  const inner = await secureTunnel(outer, 'api.crm.test', { ca: authority.certPem })
  expect((await talk(inner, 'GET /unopened HTTP/1.1\r\nHost: api.crm.test\r\n\r\n', ANSWER)).text).toMatch(/ 200 /)
  inner.end()
  expect((await site.audit(1))[0]).toMatchObject({ method: 'CONNECT', caller: 'payments', ended: 'complete' })
})

test('a WebSocket over TLS, by a certificate', async () => {
  const server = createServer(await authority.issue(['api.crm.test']))
  const chat = new WebSocketServer({ server })
  chat.on('connection', (socket) => socket.on('message', (data) => socket.send(data)))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number } // a TCP server has an address of this form
  const site = await startTlsSite(signers, port)
  const address = doorOf(site, 'reverse')
  const port443 = address.slice(address.lastIndexOf(':') + 1)
  const socket = new WebSocket(`wss://localhost:${port443}/chat`, { ...trust, ...(await client('payments.test')) })
  await once(socket, 'open')
  socket.send('hello')
  expect(String((await once(socket, 'message'))[0])).toBe('hello')
  socket.terminate()
  for (const one of chat.clients) one.terminate()
  server.close()
})

test('shutdown lets what is in flight finish, and closes what is idle with a goodbye', async () => {
  const { promise: released, resolve: release } = Promise.withResolvers<void>()
  const slow = await startUpstream(
    (head) => (head.includes('/slow') ? [{ wait: released }, ...OK] : OK),
    await authority.issue(['api.crm.test']),
  )
  const site = await startTlsSite(signers, slow.port)
  const [idle, busy] = [await openTls(doorOf(site, 'forward'), trust), await openTls(doorOf(site, 'forward'), trust)]
  await talk(idle, request('/idle', PROOF), ANSWER)
  const answer = talk(busy, request('/slow', PROOF), ANSWER, 40_000)
  await eventually(() => slow.heads().find((head) => head.includes('/slow')), 'a request in flight')
  const stopped = site.stop()
  await once(idle, 'end')
  await expect(openTls(doorOf(site, 'forward'), trust)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  release()
  expect((await answer).text).toMatch(/^HTTP\/1\.1 200 [\s\S]*connection: close/i)
  expect(await stopped).toBe(0)
  await slow.close()
})

test('what is not TLS 1.2 or 1.3 with HTTP/1.1 is closed in the handshake', async () => {
  const refuse = (options: object) => openTls(forward(), { ...trust, ...options })
  await expect(refuse({ ALPNProtocols: ['h2'] })).rejects.toMatchObject({
    code: expect.stringContaining('NO_APPLICATION_PROTOCOL'),
  })
  await expect(
    refuse({ minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' }),
  ).rejects.toMatchObject({ code: expect.stringContaining('PROTOCOL_VERSION') })
  const both = await refuse({ ALPNProtocols: ['h2', 'http/1.1'] })
  expect(both.alpnProtocol).toBe('http/1.1')
  const plain = await sendRaw(forward(), request('/plain', PROOF))
  expect([plain.status, plain.closed]).toEqual([0, true])
})

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  'no session is resumed, by %s: each handshake proves anew',
  async (version) => {
    const at = { ...trust, maxVersion: version, minVersion: version } as const
    const first = await openTls(forward(), { ...at, ...(await client('payments.test')) })
    const sessions: Buffer[] = []
    first.on('session', (session) => sessions.push(session))
    await talk(first, request('/first-session'), ANSWER)
    const session = sessions.at(-1) ?? first.getSession()
    const second = await openTls(forward(), { ...at, ...(session && { session }) })
    expect(second.isSessionReused()).toBe(false)
    expect((await talk(second, request('/second-session'), WHOLE_ANSWER)).text).toMatch(/caller-unknown/)
  },
)

test('who sits in a handshake, or in a head, is cut, and whoever else comes is served meanwhile', async () => {
  const silent = open(forward())
  const slow = await openTls(forward(), trust)
  const before = performance.now()
  const cut = once(silent.on('error', () => undefined).resume(), 'close')
  const late = talk(slow, 'GET http://api.crm.test/slow HTTP/1.1\r\nHost: api.crm', WHOLE_ANSWER, 40_000)
  const socket = await openTls(forward(), trust)
  expect((await talk(socket, request('/meanwhile', PROOF), ANSWER)).text).toMatch(/ 200 /)
  await cut
  expect(performance.now() - before).toBeGreaterThan(9_000)
  expect((await late).text).toMatch(/^HTTP\/1\.1 408 /)
})

test('bytes that are no TLS, half a handshake and resets in every place end nothing but their connection', async () => {
  const hello = await helloFor('localhost')
  const flights: Buffer[] = [
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    Buffer.alloc(1),
    randomBytes(2000),
    Buffer.alloc(20_000, 22),
  ]
  for (let end = 1; end < hello.length; end += 37) flights.push(hello.subarray(0, end))
  for (let at = 5; at < hello.length; at += 41) {
    const spoilt = Buffer.from(hello)
    spoilt[at] = (spoilt[at] ?? 0) ^ 0xff
    flights.push(spoilt)
  }
  const closed = flights.map(async (flight, index) => {
    const socket = open(forward())
    socket.on('error', () => undefined).resume()
    socket.write(flight, () => (index % 2 === 0 ? socket.resetAndDestroy() : socket.end()))
    await once(socket, 'close')
  })
  await Promise.all(closed)
  const socket = await openTls(forward(), trust)
  expect((await talk(socket, request('/afterwards', PROOF), ANSWER)).text).toMatch(/ 200 /)
  expect(running.output()).not.toContain('an error nobody caught')
})

test('with tls a door may be on every address of the machine, which its own connections cannot lead back to', async () => {
  const listeners = [{ kind: 'forward', listen: '0.0.0.0:0', tls: DOOR_TLS }]
  const site = await startTlsSite(signers, upstream.port, { listeners })
  const port = doorOf(site, 'forward').replace(/^0\.0\.0\.0:/, '')
  const socket = await openTls(`127.0.0.1:${port}`, trust)
  expect((await talk(socket, request('/everywhere', PROOF), ANSWER)).text).toMatch(/ 200 /)
})

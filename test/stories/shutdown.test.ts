import type { Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeAuthority } from '../support/certificates.ts'
import { startCollector } from '../support/collector.ts'
import { type QuirkIssuer, startQuirkIssuer } from '../support/quirk-issuer.ts'
import { open, sendRaw, WHOLE_ANSWER } from '../support/raw-client.ts'
import {
  eventually,
  privateDirectory,
  type Running,
  remove,
  startSallyport,
  writeSecret,
} from '../support/sallyport.ts'

let issuer: QuirkIssuer
let ca: string

beforeAll(async () => {
  const authority = await makeAuthority()
  ca = authority.certPem
  issuer = await startQuirkIssuer(await authority.issue(['login.test']))
})

afterAll(() => issuer.stop())

async function startBehindHungIssuer(drainTimeoutMs: number, settings: object = {}): Promise<Running> {
  issuer.answer({ instead: 'silence' })
  const directory = privateDirectory()
  writeSecret(directory, 'secret', 'the secret of a test')
  writeSecret(directory, 'ca.pem', ca)
  const allowPrivate = ['127.0.0.0/8']
  const tls = { ca: { file: 'ca.pem' } }
  const credential = {
    kind: 'client-credentials',
    clientId: 'app',
    clientSecret: { file: 'secret' },
    tls,
    allowPrivate,
  }
  return startSallyport(directory, {
    listeners: [{ kind: 'reverse', listen: '127.0.0.1:0', caller: 'here', connection: 'crm' }],
    allowlist: ['api.test'],
    callers: { here: { kind: 'socket', unsafeAnyLocalProcess: true } },
    connections: {
      crm: {
        hosts: ['api.test'],
        websocket: true,
        credential: { ...credential, tokenEndpoint: `https://login.test:${issuer.port}/token` },
      },
    },
    grants: [{ caller: 'here', connection: 'crm' }],
    dns: { hosts: { 'login.test': ['127.0.0.1'], 'api.test': ['127.0.0.1'] } },
    drainTimeoutMs,
    ...settings,
  })
}

const HANDSHAKE =
  'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'

test('asks that still wait for a credential when the time to drain is over are recorded, a handshake like a request', async () => {
  const running = await startBehindHungIssuer(400)
  const sockets: Socket[] = []
  for (const fields of ['', HANDSHAKE]) {
    const socket = open(running.doors[0]?.address ?? '')
    socket.on('error', () => undefined)
    socket.write(`GET /waiting HTTP/1.1\r\nHost: localhost\r\n${fields}\r\n`)
    sockets.push(socket)
  }
  await eventually(() => issuer.requests.length || undefined, 'the mint to be under way')
  // One behind them that is answered: by then both have been taken in.
  const refused = 'GET /refused HTTP/1.1\r\nHost: elsewhere.test\r\n\r\n'
  expect((await sendRaw(running.doors[0]?.address ?? '', refused, { until: WHOLE_ANSWER })).status).toBe(421)
  const before = performance.now()
  expect(await running.stop()).toBe(0)
  expect(performance.now() - before).toBeGreaterThan(350)
  const entries = (await running.audit(3)).filter(({ path }) => path === '/waiting')
  expect(entries).toMatchObject([
    { path: '/waiting', caller: 'here', connection: 'crm', ended: 'gone' },
    { path: '/waiting', caller: 'here', connection: 'crm', ended: 'gone' },
  ])
  for (const socket of sockets) socket.destroy()
  remove(running.directory)
})

test('collectors that take what they are sent and never answer hold up an end for as long as systemd was asked, and no longer', async () => {
  const collector = await startCollector()
  collector.answer(() => new Promise(() => undefined))
  const to = { endpoint: `http://127.0.0.1:${collector.port}/v1/`, timeoutMs: 30_000, allowPrivate: ['127.0.0.0/8'] }
  const otlp = { ...to, kind: 'otlp', unsafeAllowPlaintextCollector: true, endpoint: `${to.endpoint}logs` }
  const running = await startBehindHungIssuer(1_000, {
    traces: { ...to, endpoint: `${to.endpoint}traces` },
    audit: { sinks: [{ kind: 'json-lines', path: 'audit.jsonl' }, otlp] },
  })
  const socket = open(running.doors[0]?.address ?? '')
  socket.on('error', () => undefined)
  socket.write('GET /waiting HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await eventually(() => collector.requests.length || undefined, 'a batch to be under way')
  const before = performance.now()
  expect(await running.stop()).toBe(0)
  // The drain, and what src/cli/supervisor.ts has for what comes behind it; on a busy machine an exit takes its time, too.
  expect(performance.now() - before).toBeLessThan(1_000 + 10_000 + 5_000)
  socket.destroy()
  await collector.close()
  remove(running.directory)
})

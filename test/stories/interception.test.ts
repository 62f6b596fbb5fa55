import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { sendRaw } from '../support/raw-client.ts'
import { eventually, type Running } from '../support/sallyport.ts'
import { openTunnel, secureTunnel, talk } from '../support/tunnel.ts'
import { type RawUpstream, startUpstream } from '../support/upstream.ts'
import {
  authority,
  CALLER_KEY,
  CREDENTIAL,
  doorOf,
  forwardRequest,
  PROOF,
  startCrm,
  startCrmForTest,
  stopCrm,
} from './crm.ts'

const OK = /\r\n\r\nok$/

let upstream: RawUpstream
let running: Running
let target: string

beforeAll(async () => {
  upstream = await startUpstream(undefined, await authority.issue(['api.crm.test']))
  target = `api.crm.test:${upstream.port}`
  running = await startCrm({ port: upstream.port, settings: { ca: { directory: 'ca' } } })
})

afterAll(async () => {
  await stopCrm(running)
  await upstream?.close()
})

function ourCa(): string {
  return readFileSync(join(running.directory, 'ca', 'ca.pem'), 'utf8')
}

async function openSecure(servername = 'api.crm.test') {
  const { socket, status } = await openTunnel(doorOf(running, 'forward'), target, { fields: PROOF })
  expect(status).toBe(200)
  return secureTunnel(socket, servername, { ca: ourCa() })
}

test('a request inside the tunnel goes out with the credential, verified, and without a trace of the caller key', async () => {
  const socket = await openSecure()
  const { text } = await talk(socket, `GET /v1/contacts HTTP/1.1\r\nHost: ${target}\r\n\r\n`, OK)
  socket.destroy()
  expect(text).toMatch(/^HTTP\/1\.1 200 /)
  expect(upstream.heads().at(-1)).toContain(`Authorization: Bearer ${CREDENTIAL}\r\n`)
  expect(upstream.heads().at(-1)).toContain(`host: ${target}\r\n`)
  expect(upstream.bytes()).not.toContain(CALLER_KEY)
})

test('the record has the CONNECT once, and each request that came through it', async () => {
  // What an earlier test began may be recorded only now: an entry tells when its ask had arrived.
  const began = new Date().toISOString()
  const socket = await openSecure()
  await talk(socket, `GET /first HTTP/1.1\r\nHost: ${target}\r\n\r\n`, OK)
  await talk(socket, `GET /second HTTP/1.1\r\nHost: ${target}\r\n\r\n`, OK)
  socket.destroy()
  const entries = await eventually(async () => {
    const all = (await running.audit(1)).filter(({ time }) => String(time) >= began)
    return all.some(({ path }) => path === '/second') ? all : undefined
  }, 'the last entry')
  expect(entries).toMatchObject([
    { method: 'CONNECT', caller: 'checkout', decision: 'permit', tunnel: 'opened', status: 200 },
    { method: 'GET', path: '/first', caller: 'checkout', door: expect.stringMatching(/^intercept /), status: 200 },
    { method: 'GET', path: '/second', status: 200 },
  ])
})

test('bytes of a field that are no ASCII arrive as they were, also ahead of a body that is slow to come', async () => {
  const value = Buffer.from('attachment; filename="bücher"')
  const late = Promise.withResolvers<void>()
  const slow = await startUpstream(
    () => [
      { send: Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\nX-Name: '), value, Buffer.from('\xe9\r\n', 'latin1')]) },
      { send: 'Content-Length: 70000\r\n\r\n' },
      { wait: late.promise },
      { send: 'x'.repeat(70_000) },
    ],
    await authority.issue(['api.crm.test']),
  )
  onTestFinished(() => slow.close())
  const crm = await startCrmForTest({ port: slow.port })
  const { text } = await sendRaw(doorOf(crm, 'forward'), forwardRequest('GET', '/name'), { until: /\r\n\r\n/ })
  late.resolve()
  expect(text).toContain(`\r\nX-Name: ${value.toString('latin1')}\xe9\r\n`)
})

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CLOSED_PORT } from '../support/ports.ts'
import { sendRaw } from '../support/raw-client.ts'
import { eventually, type Running } from '../support/sallyport.ts'
import { type RawUpstream, startUpstream } from '../support/upstream.ts'
import { askAdmin, authority, doorOf, getThrough, startCrm, startCrmForTest, stopCrm } from './crm.ts'

let upstream: RawUpstream
let sallyport: Running

beforeAll(async () => {
  upstream = await startUpstream(undefined, await authority.issue(['api.crm.test']))
  sallyport = await startCrm({ port: upstream.port })
})

afterAll(async () => {
  await stopCrm(sallyport)
  await upstream?.close()
})

test('the admin door tells that it lives, has started and is ready, and what it counted', async () => {
  const running = sallyport
  await getThrough(running, '/counted', /ok$/)
  await sendRaw(doorOf(running, 'forward'), 'GET http://api.crm.test/ HTTP/1.1\r\nHost: a\r\n\r\n', { until: /\}\n$/ })
  expect(await askAdmin(running, '/livez')).toMatchObject({ status: 200, json: { status: 'ok' } })
  expect(await askAdmin(running, '/startupz')).toMatchObject({ status: 200, json: { status: 'ok' } })
  expect(await askAdmin(running, '/readyz')).toMatchObject({
    status: 200,
    json: { status: 'ok', connections: { crm: { phase: 'held' } } },
  })
  expect((await askAdmin(running, '/nothing')).status).toBe(404)
  const { text } = await askAdmin(running, '/metrics')
  expect(text).toMatch(/^content-type: text\/plain; version=0\.0\.4/im)
  for (const line of [
    /^sallyport_requests_total\{door="forward",connection="crm",status="2xx"\} 1$/m,
    /^sallyport_requests_total\{door="forward",connection="",status="4xx"\} 1$/m,
    /^sallyport_request_duration_seconds_count\{door="forward",connection="crm"\} 1$/m,
    /^sallyport_refusals_total\{code="caller-unknown",connection=""\} 1$/m,
    /^# TYPE sallyport_mints_total counter$/m,
    /^# TYPE sallyport_mint_duration_seconds histogram$/m,
    /^# TYPE sallyport_credential_expiry_timestamp_seconds gauge$/m,
    /^sallyport_open_sockets\{door="forward"\} \d+$/m,
    /^process_resident_memory_bytes \d+$/m,
    /^nodejs_eventloop_lag_seconds /m,
  ])
    expect(text).toMatch(line)
})

test.each(['evil.test', 'localhost.evil.test', ''])('the admin door refuses the foreign Host %j', async (host) => {
  const { status, text } = await askAdmin(sallyport, '/metrics', host)
  expect(status).toBe(421)
  expect(text).not.toContain('sallyport_')
})

test('the admin door refuses a page of another site', async () => {
  const { status } = await askAdmin(sallyport, '/metrics', 'localhost\r\nOrigin: https://evil.test')
  expect(status).toBe(403)
})

test('the admin door may be a socket that its owner alone can open', async () => {
  const running = await startCrmForTest({ port: upstream.port, settings: { admin: { listen: 'unix:admin.sock' } } })
  expect(running.admin).toBe(`unix:${join(running.directory, 'admin.sock')}`)
  expect(await askAdmin(running, '/livez', 'anything')).toMatchObject({ status: 200, json: { status: 'ok' } })
  expect(await running.stop('SIGTERM')).toBe(0)
  expect(existsSync(join(running.directory, 'admin.sock'))).toBe(false)
})

test('K14: an issuer that is down makes it neither dead nor unready; it is told', async () => {
  const tokenEndpoint = `https://api.crm.test:${CLOSED_PORT}/token`
  const credential = {
    kind: 'client-credentials',
    tokenEndpoint,
    clientId: 'crm',
    clientSecret: { file: 'credential' },
    allowPrivate: ['127.0.0.0/8'],
  }
  const running = await startCrmForTest({ port: upstream.port, connection: { credential } })
  expect((await getThrough(running, '/never', /\}\n$/)).status).toBe(503)
  expect((await askAdmin(running, '/livez')).status).toBe(200)
  // The first wait is half a second at most: on a busy machine it is over before it is asked about.
  const ready = await eventually(async () => {
    await getThrough(running, '/never', /\}\n$/)
    const answer = await askAdmin(running, '/readyz')
    return answer.text.includes('nextAttemptAt') ? answer : undefined
  }, 'an attempt to come')
  expect(ready).toMatchObject({
    status: 200,
    json: {
      connections: {
        crm: { phase: 'failed', lastError: { code: 'credential-unavailable' }, nextAttemptAt: expect.any(String) },
      },
    },
  })
})

import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { sendRaw } from '../support/raw-client.ts'
import { eventually, type Running, remove, runCli } from '../support/sallyport.ts'
import { startUpstream } from '../support/upstream.ts'
import { crmDirectory, crmSettings, doorOf, startCrmForTest } from './crm.ts'

/** An address of this machine that is not one of loopback: whoever comes from there is somebody else. */
const ELSEWHERE = Object.values(networkInterfaces())
  .flat()
  .find((one) => one?.family === 'IPv4' && !one.internal)?.address

async function start(health: object): Promise<Running> {
  const upstream = await startUpstream()
  onTestFinished(() => upstream.close())
  return startCrmForTest({ port: upstream.port, settings: { health } })
}

async function ask(running: Running, path: string, method = 'GET'): Promise<string> {
  const request = `${method} ${path} HTTP/1.1\r\nHost: 10.1.2.3:15091\r\nConnection: close\r\n\r\n`
  return (await sendRaw(running.health ?? 'none', request)).text
}

test('probes from any address are answered without a name or a proof, and learn nothing else', async () => {
  const running = await start({ listen: '0.0.0.0:0', metrics: false })
  for (const path of ['/livez', '/startupz', '/readyz'])
    expect(await ask(running, path)).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*\{"status":"ok"\}\n$/)
  expect(await ask(running, '/metrics')).toMatch(/^HTTP\/1\.1 404 [^]*health\.metrics/)
  for (const path of ['/v1/connections', '/openapi.json', '/', '/readyz?verbose', 'http://api.crm.test/'])
    expect(await ask(running, path)).toMatch(/^HTTP\/1\.1 404 /)
  expect(await ask(running, '/livez', 'POST')).toMatch(/^HTTP\/1\.1 405 /)
  expect(await ask(running, '/livez', 'HEAD')).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n$/)
})

test('the metrics are there where the settings want them there', async () => {
  const running = await start({ listen: '127.0.0.1:0', metrics: true })
  expect(await ask(running, '/metrics')).toMatch(/^sallyport_open_sockets\{door="forward"\} \d+$/m)
})

test('it may be a socket, which goes with the sidecar', async () => {
  const running = await start({ listen: 'unix:health.sock', mode: '0600' })
  expect(running.health).toBe(`unix:${join(running.directory, 'health.sock')}`)
  expect(await ask(running, '/livez')).toMatch(/^HTTP\/1\.1 200 /)
})

test('whoever opens a thousand connections to it keeps nobody from a door of callers', async () => {
  const running = await start({ listen: '127.0.0.1:0', metrics: true })
  const port = Number(running.health?.split(':').at(-1))
  let closed = 0
  const greedy = Array.from({ length: 1000 }, () => {
    const socket = connect(port, '127.0.0.1')
    return socket.on('error', () => undefined).on('close', () => (closed += 1))
  })
  onTestFinished(() => greedy.forEach((socket) => socket.destroy()))
  // More than 64 are closed at once; to those that stay a request is missing.
  await eventually(() => closed >= 1000 - 64 || undefined, 'the connections beyond 64 to be closed')
  const request = 'GET http://api.crm.test/ HTTP/1.1\r\nHost: a\r\n\r\n'
  expect((await sendRaw(doorOf(running, 'forward'), request, { until: /\}\n$/ })).status).toBe(407)
})

test.skipIf(ELSEWHERE === undefined)('whoever holds all there are of it does not keep a probe out', async () => {
  const running = await start({ listen: '0.0.0.0:0', metrics: false })
  const port = Number(running.health?.split(':').at(-1))
  let closed = 0
  const greedy = Array.from({ length: 80 }, () => {
    const socket = connect(port, ELSEWHERE)
    return socket.on('error', () => undefined).on('close', () => (closed += 1))
  })
  onTestFinished(() => greedy.forEach((socket) => socket.destroy()))
  await eventually(() => closed >= 80 - 64 || undefined, 'the door to be full')
  for (let probe = 0; probe < 5; probe++) {
    const request = 'GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
    expect((await sendRaw(`127.0.0.1:${port}`, request)).status).toBe(200)
  }
})

test('its address is its own, and its settings say so', async () => {
  const directory = crmDirectory()
  onTestFinished(() => remove(directory))
  const health = { listen: '127.0.0.1:15090' }
  const settings = crmSettings({ port: 443, settings: { health, admin: { listen: '127.0.0.1:15090' } } })
  writeFileSync(join(directory, 'sallyport.yaml'), JSON.stringify(settings))
  const { code, stderr } = await runCli(['check', '--config', join(directory, 'sallyport.yaml')])
  expect([code, stderr]).toEqual([2, expect.stringMatching(/health\.listen: use an address of its own/)])
})

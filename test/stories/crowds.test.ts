import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { expect, onTestFinished, test } from 'vitest'
import { open, sendRaw, WHOLE_ANSWER } from '../support/raw-client.ts'
import { eventually, type Running, remove, startSallyport } from '../support/sallyport.ts'
import { OK, type RawUpstream, type Step, startUpstream } from '../support/upstream.ts'
import { askAdmin, authority, crmDirectory, crmSettings, forwardRequest, hold } from './crm.ts'

const IS_ROOT = process.getuid?.() === 0
const GREEDY_UID = 1234

async function crmWith(settings: object, by: readonly string[] = []): Promise<[Running, RawUpstream]> {
  const upstream = await startUpstream(answerTo, await authority.issue(['api.crm.test']))
  onTestFinished(() => upstream.close())
  const directory = crmDirectory()
  chmodSync(directory, 0o711)
  const crm = await startSallyport(directory, crmSettings({ port: upstream.port, settings }), { by })
  onTestFinished(async () => {
    await crm.stop('SIGKILL')
    remove(directory)
  })
  return [crm, upstream]
}

function answerTo(request: string): readonly Step[] {
  return request.startsWith('GET /hang ') ? ['hang'] : OK
}

async function refusedSockets(crm: Running): Promise<number> {
  const { text } = await askAdmin(crm, '/metrics')
  return Number(/^sallyport_sockets_refused_total\{door="forward"\} (\d+)$/m.exec(text)?.[1] ?? 0)
}

/** Another process, of another user, that opens so many sockets, sends these bytes on each, and keeps them. */
function keepOpen(address: string, count: number, bytes: string): ChildProcess {
  const script = `
    const { connect } = require('node:net')
    const [address, count, bytes] = process.argv.slice(1)
    const [host, port] = address.split(':')
    for (let at = 0; at < count; at++)
      connect(host === 'unix' ? { path: port } : { host, port }).on('error', () => undefined).resume().write(bytes)
    setInterval(() => undefined, 1000)`
  const child = spawn(process.execPath, ['--eval', script, address, String(count), bytes], {
    uid: GREEDY_UID,
    gid: GREEDY_UID,
    cwd: '/',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill())
  return child
}

test.skipIf(!IS_ROOT).each([
  ['a Unix socket', { listen: 'unix:forward.sock', mode: '0666' }],
  ['loopback', { listen: '127.0.0.1:0' }],
])('on %s a user who holds every socket of a door does not keep another one out', async (_what, place) => {
  const [crm] = await crmWith({ listeners: [{ kind: 'forward', ...place, maxSockets: 8 }] })
  const address = crm.doors[0]?.address ?? ''
  const greedy = keepOpen(address, 20, forwardRequest('GET', '/hang'))
  await eventually(async () => ((await refusedSockets(crm)) === 12 ? true : undefined), 'twelve to be refused')
  for (let at = 0; at < 3; at++) {
    const { status } = await sendRaw(address, forwardRequest('GET', `/${at}`), { until: WHOLE_ANSWER })
    expect(status).toBe(200)
  }
  expect(greedy.exitCode).toBeNull()
  // What was under way on the one that had to go ends, and is recorded.
  const isCut = (entry: Record<string, unknown>) => entry['path'] === '/hang' && entry['ended'] === 'gone'
  await eventually(async () => (await crm.audit(0)).find(isCut), 'a request that is cut')
  expect(await refusedSockets(crm)).toBeGreaterThan(12)
  expect(crm.output()).toMatch(/too many sockets at a door/)
})

test('one too many at a door is closed unread, those that are there stay, and their places come free', async () => {
  const [crm] = await crmWith({ listeners: [{ kind: 'forward', listen: '127.0.0.1:0', maxSockets: 3 }] })
  const address = crm.doors[0]?.address ?? ''
  const held = [hold(address, ''), hold(address, ''), hold(address, '')]
  await eventually(() => (held.every(({ socket }) => socket.readyState === 'open') ? true : undefined), 'three')
  const over = await sendRaw(address, forwardRequest('GET', '/over'))
  expect(over).toMatchObject({ text: '', closed: true })
  expect(await refusedSockets(crm)).toBe(1)
  expect(held.map(({ ended }) => ended())).toEqual([undefined, undefined, undefined])
  held[0]?.socket.destroy()
  const next = await eventually(async () => {
    const answer = await sendRaw(address, forwardRequest('GET', '/next'), { until: WHOLE_ANSWER })
    return answer.status === 200 ? answer : undefined
  }, 'a place to be free')
  expect(next.status).toBe(200)
})

test('all doors together leave half of the descriptors: the admin door answers, and another request still goes out', async () => {
  const by = ['prlimit', '--nofile=200:200', '--']
  const [crm] = await crmWith({}, by)
  const address = crm.doors.find(({ kind }) => kind === 'forward')?.address ?? ''
  const sockets = Array.from({ length: 300 }, () => open(address).on('error', () => undefined))
  onTestFinished(() => sockets.forEach((socket) => socket.destroy()))
  // (200 - 64) / 2 are let in.
  await eventually(async () => ((await refusedSockets(crm)) === 232 ? true : undefined), '232 to be refused')
  sockets.forEach((socket) => socket.destroy())
  const { status } = await eventually(async () => {
    const answer = await sendRaw(address, forwardRequest('GET', '/after'), { until: WHOLE_ANSWER })
    return answer.status === 200 ? answer : undefined
  }, 'a request to be served')
  expect(status).toBe(200)
  expect((await askAdmin(crm, '/livez')).status).toBe(200)
  expect(crm.output()).not.toMatch(/EMFILE/)
})

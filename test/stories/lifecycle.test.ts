import { once } from 'node:events'
import { existsSync, readdirSync, renameSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { open, sendRaw } from '../support/raw-client.ts'
import { eventually, type Running, remove, runCli, startSallyport, writeSecret } from '../support/sallyport.ts'
import { OK, type RawUpstream, startUpstream } from '../support/upstream.ts'
import {
  askAdmin,
  authority,
  crmDirectory,
  crmSettings,
  doorOf,
  forwardRequest,
  getThrough,
  hold,
  PROOF,
  startCrm,
  startCrmForTest,
  stopCrm,
} from './crm.ts'
import { MiB, memoryOf, processorMsOf } from './flood.ts'

let upstream: RawUpstream
const released = Promise.withResolvers<void>()

beforeAll(async () => {
  const steps = (head: string) => {
    if (head.includes('/hang')) return ['hang'] as const
    return head.includes('/slow') ? [{ wait: released.promise }, ...OK] : OK
  }
  upstream = await startUpstream(steps, await authority.issue(['api.crm.test']))
})

afterAll(async () => {
  await upstream?.close()
})

/** Waits until the upstream has a request for this path. */
function arrived(path: string): Promise<true> {
  return eventually(() => upstream.bytes().includes(` ${path} `) || undefined, `a request for ${path}`)
}

/** Waits until somebody has hung up. */
function refuses(address: string): Promise<true> {
  return eventually(async () => {
    const socket = open(address)
    const refused = await Promise.race([
      once(socket, 'connect').then(() => undefined),
      once(socket, 'error').then(() => true as const),
    ]).catch(() => true as const)
    socket.destroy()
    return refused
  }, `${address} to refuse`)
}

test('serve says that it is ready in one line of JSON, soon, and is small while idle', async () => {
  // The first start ever strips the types of every file, which takes its time and its memory; that is not the usual one.
  await (await startCrmForTest({ port: upstream.port })).stop()
  const running = await startCrmForTest({ port: upstream.port })
  // Of the processor: how long it takes besides is for the machine to say, and for whoever else uses it.
  const readyMs = processorMsOf(running.pid)
  const idle = memoryOf(running.pid, 'VmRSS') / MiB
  process.stdout.write(`ready after ${Math.round(readyMs)} ms of the processor, ${Math.round(idle)} MiB idle\n`)
  const port = expect.stringMatching(/^127\.0\.0\.1:[1-9]\d*$/)
  expect(running.output().endsWith('}\n')).toBe(true)
  expect(JSON.parse(running.output())).toStrictEqual({
    msg: 'ready',
    settingsDigest: expect.stringMatching(/^[0-9a-f]{64}$/),
    listeners: [
      { kind: 'forward', address: port },
      { kind: 'reverse', address: `unix:${join(running.directory, 'crm.sock')}` },
    ],
    admin: port,
  })
  expect(readyMs).toBeLessThan(3_000)
  // 93 to 95 measured; 126 to 133 before decision 66.
  expect(idle).toBeLessThan(105)
})

test('at SIGTERM what is in flight finishes, what is idle closes, a WebSocket is cut, and all of it is recorded', async () => {
  const chat = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  onTestFinished(() => chat.close())
  await once(chat, 'listening')
  const { port } = chat.address() as { port: number } // a TCP server has an address of this form
  const connections = crmSettings({ port: upstream.port }) as { connections: object }
  const running = await startCrmForTest({
    port: upstream.port,
    settings: {
      allowlist: ['*.test'],
      connections: {
        ...connections.connections,
        chat: {
          hosts: ['chat.test'],
          port,
          unsafeAllowPlaintextUpstream: true,
          websocket: true,
          allowPrivate: ['127.0.0.0/8'],
          credential: { kind: 'none' },
        },
      },
      grants: ['crm', 'chat'].map((connection) => ({ caller: 'checkout', connection })),
      dns: { hosts: { 'api.crm.test': ['127.0.0.1'], 'chat.test': ['127.0.0.1'] } },
    },
  })
  const address = doorOf(running, 'forward')
  const idle = hold(address, forwardRequest('GET', '/quick'))
  await eventually(() => idle.text().endsWith('ok') || undefined, 'a first answer')
  const busy = hold(address, forwardRequest('GET', '/slow'))
  await arrived('/slow')
  const [name = '', value = ''] = PROOF.trim().split(': ')
  const socket = new WebSocket(`ws://${address}/`, {
    headers: { Host: 'chat.test', [name]: value },
    finishRequest(request) {
      request.path = 'http://chat.test/'
      request.end()
    },
  })
  await once(socket, 'open')
  const cut = once(socket, 'close')
  const ended = running.stop('SIGTERM')
  await refuses(address)
  expect(await eventually(() => idle.ended(), 'the idle connection to close')).toBe('clean')
  expect(busy.text()).toBe('')
  released.resolve()
  expect(await ended).toBe(0)
  await eventually(() => busy.ended(), 'the end of what was in flight')
  expect(busy.text()).toMatch(/^HTTP\/1.1 200 OK\r\n[\s\S]*Connection: close\r\n[\s\S]*\r\n\r\nok$/)
  expect((await cut)[0]).toBe(1006)
  const entries = await running.audit(3)
  expect(entries.map(({ path, status, ended }) => [path, status, ended])).toEqual([
    ['/quick', 200, 'complete'],
    ['/slow', 200, 'complete'],
    ['/', 101, 'complete'],
  ])
  expect(readdirSync(running.directory)).not.toContain('crm.sock')
})

test('a request that hangs does not hold up the end beyond drainTimeoutMs, and is recorded', async () => {
  const running = await startCrmForTest({ port: upstream.port, settings: { drainTimeoutMs: 300 } })
  hold(doorOf(running, 'forward'), forwardRequest('GET', '/hang/1'))
  await arrived('/hang/1')
  const before = performance.now()
  expect(await running.stop('SIGTERM')).toBe(0)
  const tookMs = performance.now() - before
  expect(tookMs).toBeGreaterThanOrEqual(290)
  // Less than the ten seconds that are usual; on a busy machine an exit takes its time, too.
  expect(tookMs).toBeLessThan(8_000)
  expect(await running.audit(1)).toMatchObject([{ path: '/hang/1', ended: 'gone' }])
})

test('while it drains it is alive and not ready; a second signal ends it at once', async () => {
  const running = await startCrmForTest({ port: upstream.port, settings: { drainTimeoutMs: 60_000 } })
  hold(doorOf(running, 'forward'), forwardRequest('GET', '/hang/2'))
  await arrived('/hang/2')
  expect(await askAdmin(running, '/readyz')).toMatchObject({ status: 200, json: { status: 'ok' } })
  const ended = running.stop('SIGTERM')
  await refuses(doorOf(running, 'forward'))
  expect(await askAdmin(running, '/readyz')).toMatchObject({ status: 503, json: { status: 'not ready' } })
  expect(await askAdmin(running, '/livez')).toMatchObject({ status: 200 })
  const before = performance.now()
  process.kill(running.pid, 'SIGTERM')
  expect(await ended).toBe(1)
  // Of the sixty seconds.
  expect(performance.now() - before).toBeLessThan(10_000)
})

test('SIGINT ends it like SIGTERM', async () => {
  const running = await startCrmForTest({ port: upstream.port })
  expect(await running.stop('SIGINT')).toBe(0)
})

test('K09: a socket that was killed is replaced at the next start; one that somebody put in its place is left alone', async () => {
  const directory = crmDirectory()
  onTestFinished(() => remove(directory))
  const settings = crmSettings({ port: upstream.port })
  const path = join(directory, 'crm.sock')
  const killed = await startSallyport(directory, settings)
  await killed.stop('SIGKILL')
  expect(existsSync(path)).toBe(true)
  const running = await startSallyport(directory, settings)
  onTestFinished(() => void running.stop('SIGKILL'))
  const { status } = await sendRaw(`unix:${path}`, 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n', { until: /\}\n$/ })
  expect(status).toBe(401)
  renameSync(path, `${path}.old`)
  const other = createServer().listen(path)
  onTestFinished(() => void other.close())
  await once(other, 'listening')
  expect(await running.stop('SIGTERM')).toBe(0)
  expect(existsSync(path)).toBe(true)
  open(`unix:${path}`).destroy()
})

test.each([
  ['the last door', (port: number) => ({ listeners: [...DOORS, { kind: 'forward', listen: `127.0.0.1:${port}` }] })],
  ['the admin door', (port: number) => ({ listeners: DOORS, admin: { listen: `127.0.0.1:${port}` } })],
])(
  'K12: when the port of %s is in use nothing listens, no socket is left, and the exit is 2',
  async (_what, change) => {
    const taken = createServer().listen(0, '127.0.0.1')
    onTestFinished(() => void taken.close())
    await once(taken, 'listening')
    const { port } = taken.address() as { port: number } // a TCP server has an address of this form
    const directory = crmDirectory()
    onTestFinished(() => remove(directory))
    const before = readdirSync(directory)
    const { code, stdout, stderr } = await serve(
      directory,
      crmSettings({ port: upstream.port, settings: change(port) }),
    )
    expect(code).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toContain(`127.0.0.1:${port} is in use: stop what listens there, or use another port`)
    expect(readdirSync(directory).filter((name) => !before.includes(name) && !/\.(?:yaml|jsonl)$/.test(name))).toEqual(
      [],
    )
  },
)

const DOORS = [
  { kind: 'reverse', listen: 'unix:crm.sock', connection: 'crm' },
  { kind: 'forward', listen: '127.0.0.1:0' },
]

test('K12: a socket that another one serves is not taken from it', async () => {
  const running = await startCrmForTest({ port: upstream.port })
  const { code, stderr } = await serve(running.directory, crmSettings({ port: upstream.port }))
  expect(code).toBe(2)
  expect(stderr).toMatch(/crm\.sock, perhaps another Sallyport: stop that, or use another path/)
  const { status } = await sendRaw(doorOf(running, 'reverse'), 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n', {
    until: /\}\n$/,
  })
  expect(status).toBe(401)
})

/** `serve` that is expected to end by itself. */
function serve(directory: string, settings: object, env: NodeJS.ProcessEnv = {}) {
  const file = writeSecret(directory, 'other.yaml', JSON.stringify(settings))
  return runCli(['serve', '--config', file], { env })
}

test.each([
  [
    { NODE_TLS_REJECT_UNAUTHORIZED: '0' },
    'unset NODE_TLS_REJECT_UNAUTHORIZED: it asks for upstreams that need not prove who they are',
  ],
  [{ NODE_DEBUG: 'http' }, 'unset NODE_DEBUG: it prints requests, credentials included'],
  [{ SSLKEYLOGFILE: '/dev/null' }, 'unset SSLKEYLOGFILE: it writes down the keys of every TLS connection'],
  [
    { NODE_OPTIONS: '--tls-keylog=/dev/null' },
    'unset NODE_OPTIONS: --tls-keylog is not safe in a process that holds secrets',
  ],
  [
    { NODE_OPTIONS: '--tls-min-v1.0' },
    'unset NODE_OPTIONS: --tls-min-v1.0 is not safe in a process that holds secrets',
  ],
  [
    { NODE_OPTIONS: '--tls_keylog=/dev/null' },
    'unset NODE_OPTIONS: --tls-keylog is not safe in a process that holds secrets',
  ],
  [
    { NODE_OPTIONS: '--no-warnings --tls-cipher-list=NULL-SHA256:@SECLEVEL=0' },
    'unset NODE_OPTIONS: --tls-cipher-list is not safe in a process that holds secrets',
  ],
  [
    { NODE_OPTIONS: '--heapsnapshot-signal=SIGUSR2' },
    'unset NODE_OPTIONS: --heapsnapshot-signal is not safe in a process that holds secrets',
  ],
  [
    { NODE_OPTIONS: '--report-on-signal' },
    'unset NODE_OPTIONS: --report-on-signal is not safe in a process that holds secrets',
  ],
])('F05: with %j it does not start, and says what to do', async (env, remedy) => {
  const directory = crmDirectory()
  onTestFinished(() => remove(directory))
  const { code, stdout, stderr } = await serve(directory, crmSettings({ port: upstream.port }), env)
  expect(code).toBe(2)
  expect(stdout).toBe('')
  expect(stderr).toContain(remedy)
  expect(existsSync(join(directory, 'crm.sock'))).toBe(false)
})

test('F05: authorities that the environment names are not believed about an upstream', async () => {
  const directory = crmDirectory()
  const env = { NODE_EXTRA_CA_CERTS: join(directory, 'ca.pem'), SSL_CERT_FILE: join(directory, 'ca.pem') }
  const settings = crmSettings({ port: upstream.port, connection: { tls: {} } })
  const running = await startSallyport(directory, settings, { env: { ...env, NODE_USE_SYSTEM_CA: '1' } })
  onTestFinished(() => stopCrm(running))
  const { status, text } = await getThrough(running, '/believed', /\}\n$/)
  expect(status).toBe(502)
  expect(text).toContain('"code":"upstream-untrusted"')
  expect(upstream.bytes()).not.toContain('/believed')
})

test('F05 a flag of Node that gives keys away is refused like the variable', async () => {
  const directory = crmDirectory()
  onTestFinished(() => remove(directory))
  const file = writeSecret(directory, 'other.yaml', JSON.stringify(crmSettings({ port: upstream.port })))
  const { code, stderr } = await runCli(['serve', '--config', file], { nodeFlags: ['--tls-keylog=/dev/null'] })
  expect(code).toBe(2)
  expect(stderr).toContain('start node without --tls-keylog: it is not safe')
})

test('proxy variables of the environment have no say', async () => {
  const proxy = await startUpstream()
  onTestFinished(() => proxy.close())
  const url = `http://127.0.0.1:${proxy.port}`
  const env = {
    HTTP_PROXY: url,
    HTTPS_PROXY: url,
    http_proxy: url,
    https_proxy: url,
    ALL_PROXY: url,
    NODE_USE_ENV_PROXY: '1',
  }
  const running = await startCrmForTest({ port: upstream.port, env })
  expect((await getThrough(running, '/direct', /ok$/)).status).toBe(200)
  expect(proxy.connections).toHaveLength(0)
})

let common: Running | undefined

async function shared(): Promise<Running> {
  common ??= await startCrm({ port: upstream.port })
  return common
}

afterAll(() => stopCrm(common))

/** Bytes that have ended processes, each followed by a reset, a half-close or a close. */
const HOSTILE = [
  '',
  '\r\n\r\n\r\n',
  'GET / HTTP/1.1\r\n',
  'GET http://api.crm.test/ HTTP/9.9\r\n\r\n',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'CONNECT api.crm.test:443 HTTP/1.1\r\nHost: a\r\n\r\n\x16\x03\x01',
  `\x16\x03\x01\x02\x00\x01\x00\x01\xfc${'\x00'.repeat(64)}`,
  `GET http://api.crm.test/ HTTP/1.1\r\nHost: a\r\n__proto__: 1\r\nconstructor: 2\r\n${PROOF}\r\n`,
  `GET http://api.crm.test/hang HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n${PROOF}\r\n`,
  `POST http://api.crm.test/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n${PROOF}\r\nfffffffffffffffff\r\n`,
  `POST http://api.crm.test/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n${PROOF}\r\nab`,
  `POST http://api.crm.test/ HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n${PROOF}\r\n`,
  `GET http://api.crm.test/ HTTP/1.1\r\nHost: a\r\n${PROOF}\r\n`.repeat(20),
  `GET http://api.crm.test/ HTTP/1.1\r\nHost: a\r\n${'a'.repeat(20_000)}`,
]

test('nothing that callers send, and no way to leave, ends the process', async () => {
  const running = await shared()
  const addresses = [...running.doors.map(({ address }) => address), running.admin ?? '']
  const leaving = addresses.flatMap((address) =>
    HOSTILE.flatMap((bytes) =>
      (['destroy', 'resetAndDestroy', 'end'] as const).map((leave) => attack(address, bytes, leave)),
    ),
  )
  await Promise.all(leaving)
  expect((await getThrough(running, '/alive', /ok$/)).status).toBe(200)
  expect((await askAdmin(running, '/livez')).status).toBe(200)
  expect(running.output()).not.toMatch(/nobody caught|an exchange rejected/)
})

async function attack(address: string, bytes: string, leave: 'destroy' | 'resetAndDestroy' | 'end'): Promise<void> {
  const socket = open(address)
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  socket.write(Buffer.from(bytes, 'latin1'))
  // A Unix socket has no reset.
  if (leave === 'resetAndDestroy' && address.startsWith('unix:')) socket.destroy()
  else socket[leave]()
  if (leave !== 'end') return
  socket.resume()
  setTimeout(() => socket.destroy(), 500).unref()
  await eventually(() => socket.destroyed || undefined, 'the socket to close')
}

import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { CLI } from '../cli/running.ts'
import { sendRaw } from '../support/raw-client.ts'
import {
  eventually,
  type Running,
  reloadSallyport,
  remove,
  startSallyport,
  wholeLinesOf,
  writeSecret,
} from '../support/sallyport.ts'
import { claimsAt, jwksOf, makeSigningKey, signToken } from '../support/tokens.ts'
import { OK, type RawUpstream, type Step, startUpstream } from '../support/upstream.ts'
import {
  askAdmin,
  authority,
  CALLER_KEY,
  CREDENTIAL,
  connectionTo,
  crmDirectory,
  crmSettings,
  doorOf,
  forwardRequest,
  hold,
  PROOF,
} from './crm.ts'

const HOSTS = ['api.crm.test', 'other.test']

interface Scene {
  readonly running: Running
  readonly upstream: RawUpstream
  settings(changes?: object): object
  /** Writes other settings; asks for a reload unless they are watched. */
  reload(settings: object): Promise<void>
  status(host?: string, proof?: string): Promise<number>
}

async function scene(
  script: () => readonly Step[] = () => OK,
  directory = crmDirectory(),
  always: object = {},
): Promise<Scene> {
  onTestFinished(() => remove(directory))
  const upstream = await startUpstream(script, await authority.issue(HOSTS))
  onTestFinished(() => upstream.close())
  const dns = { hosts: { 'api.crm.test': ['127.0.0.1'], 'other.test': ['127.0.0.1'] } }
  const settings = (changes: object = {}) => ({
    audit: { sinks: [{ kind: 'json-lines', path: 'audit.jsonl' }] },
    log: { level: 'debug' },
    ...crmSettings({ port: upstream.port, settings: { dns, ...always, ...changes } }),
  })
  const running = await startSallyport(directory, settings())
  onTestFinished(() => running.stop('SIGKILL').then(() => undefined))
  return {
    running,
    upstream,
    settings,
    reload: (next) => reloadSallyport(running, next),
    async status(host = 'api.crm.test', proof = PROOF) {
      const request = `GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\n${proof}Connection: close\r\n\r\n`
      return (await sendRaw(doorOf(running, 'forward'), request)).status
    },
  }
}

async function metric(running: Running, name: string): Promise<string | undefined> {
  const { text } = await askAdmin(running, '/metrics')
  return text.split('\n').find((line) => line.startsWith(`${name} `))
}

test('what a changed file says holds for the very next request: callers, hosts, connections, grants', async () => {
  const { running, upstream, settings, reload, status } = await scene()
  expect([await status(), await status('other.test')]).toEqual([200, 403])
  const key = 'another-key-of-a-caller-0123456789'
  writeSecret(running.directory, 'other-key', key)
  writeSecret(running.directory, 'other-credential', 'the-other-one')
  const credential = { kind: 'static', secret: { file: 'other-credential' } }
  const proof = `Proxy-Authorization: Basic ${Buffer.from(`batch:${key}`).toString('base64')}\r\n`
  await reload(
    settings({
      allowlist: HOSTS,
      callers: {
        checkout: { kind: 'api-key', key: { file: 'checkout' } },
        batch: { kind: 'api-key', key: { file: 'other-key' } },
      },
      connections: {
        crm: connectionTo('api.crm.test', upstream.port),
        other: connectionTo('other.test', upstream.port, { credential }),
      },
      grants: [{ caller: 'batch', connection: 'other' }],
    }),
  )
  expect([await status(), await status('other.test', proof)]).toEqual([403, 200])
  expect(upstream.heads().at(-1)).toContain('Bearer the-other-one')
  const changes = readLines(running).filter(({ msg }) => msg === 'change')
  expect(changes).toMatchObject([{ action: 'settings.reload', proof: 'signal', after: { callers: 2, grants: 1 } }])
  expect(await metric(running, 'sallyport_settings_stale')).toBe('sallyport_settings_stale 0')
})

function readLines(running: Running): Record<string, unknown>[] {
  return wholeLinesOf(join(running.directory, 'audit.jsonl')).map((line) => JSON.parse(line))
}

test('K04: settings that are wrong change nothing, and that they are is told', async () => {
  const { running, settings, reload, status } = await scene()
  await reload({ ...settings(), grants: [{ caller: 'nobody', connection: 'crm' }] })
  expect(running.output()).toMatch(/grants\[0\]\.caller: .*are not taken in/)
  expect(await status()).toBe(200)
  expect(await metric(running, 'sallyport_settings_stale')).toBe('sallyport_settings_stale 1')
  const changes = readLines(running).filter(({ msg }) => msg === 'change')
  expect(changes).toMatchObject([{ action: 'settings.reload', code: 'input-invalid' }])
  await reload(settings())
  expect(await metric(running, 'sallyport_settings_stale')).toBe('sallyport_settings_stale 0')
})

test('a secret file that is missing, a key that is unknown, and no file at all change nothing', async () => {
  const { running, settings, reload, status } = await scene()
  const credential = { kind: 'static', secret: { file: 'missing' } }
  await reload(settings({ connections: { crm: connectionTo('api.crm.test', 443, { credential }) } }))
  await reload({ ...settings(), alowlist: [] })
  renameSync(join(running.directory, 'sallyport.yaml'), join(running.directory, 'gone.yaml'))
  process.kill(running.pid, 'SIGHUP')
  await eventually(() => /does not exist.*not taken in/.test(running.output()) || undefined, 'a third refusal')
  expect(await status()).toBe(200)
  expect(running.output()).not.toContain(CREDENTIAL)
  expect(running.output()).not.toContain(CALLER_KEY)
})

test.each([
  ['listeners', { listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }] }],
  ['health', { health: { listen: '127.0.0.1:0' } }],
  ['store', { store: { kind: 'sqlite', path: 'state/store.db' } }],
  ['dns', { dns: { hosts: { 'api.crm.test': ['127.0.0.2'] } } }],
  ['drainTimeoutMs', { drainTimeoutMs: 1 }],
])('what is read at the start alone, %s, refuses the whole of it, and says so', async (key, changes) => {
  const { running, settings, reload, status } = await scene()
  await reload({ ...settings(changes), grants: [] })
  expect(running.output()).toMatch(new RegExp(`${key}: has changed, and is read at the start alone: restart`))
  expect(await status()).toBe(200)
})

test('what they leave as it was goes on by the sockets that it had, requests in flight too', async () => {
  const gate = Promise.withResolvers<void>()
  const { upstream, settings, reload, running } = await scene(() => [{ wait: gate.promise }, ...OK])
  const asking = hold(doorOf(running, 'forward'), forwardRequest('GET', '/slow'))
  await eventually(() => upstream.heads().length === 1 || undefined, 'the request upstream')
  await reload(settings({ allowlist: HOSTS }))
  gate.resolve()
  await eventually(() => asking.text().endsWith('ok') || undefined, 'its answer')
  asking.socket.write(forwardRequest('GET', '/next'))
  await eventually(() => upstream.heads().length === 2 || undefined, 'the next request')
  expect(upstream.connections.length).toBe(1)
})

test('K06: what they refuse is cut, at both ends', async () => {
  const begun = [{ send: 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun' }, 'hang'] as const
  const { upstream, settings, reload, running, status } = await scene(() => begun)
  const asking = hold(doorOf(running, 'forward'), forwardRequest('GET', '/endless'))
  await eventually(() => asking.text().endsWith('begun') || undefined, 'the beginning of its answer')
  await reload(settings({ grants: [] }))
  await eventually(() => asking.ended(), 'its end')
  expect(asking.ended()).toBe('reset')
  expect(await status()).toBe(403)
  await eventually(() => upstream.connections.every(({ closed }) => closed) || undefined, 'the end upstream')
})

test.each([
  ['another issuer', { issuer: 'https://other.issuer.test' }, 'reset'],
  ['claims that it did not need', { claims: { team: 'a' } }, 'reset'],
  ['nothing, though another caller is new', {}, undefined],
])('a caller of the same name and kind that is proved by %s has not begun what is under way', async (_, now, end) => {
  const begun = [{ send: 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun' }, 'hang'] as const
  const { settings, reload, running, status } = await scene(() => begun)
  const key = await makeSigningKey()
  writeFileSync(join(running.directory, 'jwks.json'), jwksOf(key))
  const robot = { kind: 'jwt', issuer: 'https://issuer.test', jwks: { file: 'jwks.json' }, audience: 'us' }
  const checkout = { kind: 'api-key', key: { file: 'checkout' } }
  const withRobot = (changes: object, others: object = {}) =>
    settings({
      callers: { checkout, robot: { ...robot, claims: { sub: 'robot' }, ...changes }, ...others },
      grants: [{ caller: 'robot', connection: 'crm' }],
    })
  await reload(withRobot({}))
  const claims = claimsAt(Date.now(), { iss: robot.issuer, aud: 'us', sub: 'robot' })
  const proof = `Proxy-Authorization: Bearer ${await signToken(key, claims)}\r\n`
  const request = `GET http://api.crm.test/endless HTTP/1.1\r\nHost: api.crm.test\r\n${proof}\r\n`
  const asking = hold(doorOf(running, 'forward'), request)
  await eventually(() => asking.text().endsWith('begun') || undefined, 'the beginning of its answer')
  const digest = `sha256:${'0'.repeat(64)}`
  await reload(withRobot(now, { newcomer: { kind: 'api-key', digest } }))
  if (end !== undefined) await eventually(() => asking.ended(), 'its end')
  // What the reload would have cut is cut before anybody is answered.
  expect(await status()).toBe(403)
  expect(asking.ended()).toBe(end)
})

test('whose proof is still being judged when its caller becomes another is not let in by what was before', async () => {
  const gate = Promise.withResolvers<void>()
  const key = await makeSigningKey()
  const body = jwksOf(key)
  const published = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  const keys = await startUpstream(() => [{ wait: gate.promise }, { send: published }], await authority.issue(HOSTS))
  onTestFinished(() => keys.close())
  const { settings, reload, running, upstream } = await scene()
  const jwks = { url: `https://other.test:${keys.port}/keys` }
  const near = { tls: { ca: { file: 'ca.pem' } }, allowPrivate: ['127.0.0.0/8'] }
  const robot = { kind: 'jwt', issuer: 'https://issuer.test', jwks, audience: 'us', ...near }
  const withRobot = (claims: object) =>
    settings({ callers: { robot: { ...robot, claims } }, grants: [{ caller: 'robot', connection: 'crm' }] })
  await reload(withRobot({ sub: 'robot' }))
  const token = await signToken(key, claimsAt(Date.now(), { iss: robot.issuer, aud: 'us', sub: 'robot' }))
  const head = `GET http://api.crm.test/ HTTP/1.1\r\nHost: api.crm.test\r\nProxy-Authorization: Bearer ${token}\r\n\r\n`
  const asking = hold(doorOf(running, 'forward'), head)
  await eventually(() => keys.heads().length === 1 || undefined, 'the keys to be asked for')
  await reload(withRobot({ sub: 'robot', team: 'a' }))
  gate.resolve()
  await eventually(() => /\r\n\r\n/.test(asking.text()) || undefined, 'an answer')
  expect(asking.text()).toMatch(/^HTTP\/1\.1 407 /)
  expect(upstream.heads()).toEqual([])
})

test('a connection that is another now mints and dials anew, while what is in flight ends by the old one', async () => {
  const gate = Promise.withResolvers<void>()
  const { upstream, settings, reload, running, status } = await scene(() => [{ wait: gate.promise }, ...OK])
  const asking = hold(doorOf(running, 'forward'), forwardRequest('GET', '/slow'))
  await eventually(() => upstream.heads().length === 1 || undefined, 'the request upstream')
  writeSecret(running.directory, 'second', 'the-second-one')
  const credential = { kind: 'static', secret: { file: 'second' } }
  await reload(settings({ connections: { crm: connectionTo('api.crm.test', upstream.port, { credential }) } }))
  gate.resolve()
  await eventually(() => asking.text().endsWith('ok') || undefined, 'its answer')
  expect(await status()).toBe(200)
  expect(upstream.heads().map((head) => /Bearer (\S+)/i.exec(head)?.[1])).toEqual([CREDENTIAL, 'the-second-one'])
  await eventually(() => upstream.connections[0]?.closed || undefined, 'the end of the socket of the one before')
})

test('a connection that keeps logins from now on has nothing of what it was', async () => {
  const directory = crmDirectory()
  writeSecret(directory, 'store-key', randomBytes(32).toString('base64'))
  writeSecret(directory, 'refresh', 'a-refresh-token')
  writeSecret(directory, 'client', 'a-client-secret')
  const { upstream, settings, reload, status } = await scene(undefined, directory, {
    store: { kind: 'sqlite', path: 'store/logins.db', key: { file: 'store-key' } },
  })
  expect(await status()).toBe(200)
  const credential = {
    kind: 'refresh-token',
    tokenEndpoint: 'https://other.test:1/token',
    allowPrivate: ['127.0.0.0/8'],
    clientId: 'a',
    clientSecret: { file: 'client' },
    refreshToken: { file: 'refresh' },
  }
  await reload(settings({ connections: { crm: connectionTo('api.crm.test', upstream.port, { credential }) } }))
  expect(await status()).toBe(503)
  expect(upstream.heads()).toHaveLength(1)
})

test('K05: fifty reloads in a row, under load, fail no request, and mix no two settings', {
  timeout: 240_000,
}, async () => {
  const { settings, running, status, upstream } = await scene()
  const file = join(running.directory, 'sallyport.yaml')
  for (const parity of ['0', '1']) writeSecret(running.directory, `credential-${parity}`, `credential-${parity}`)
  const version = (round: number) => {
    const [parity, allowlist] = round % 2 === 0 ? ['0', HOSTS] : ['1', ['api.crm.test']]
    const credential = { kind: 'static', secret: { file: `credential-${parity}` } }
    const inject = { kind: 'header', name: `X-Credential-${parity}` }
    return settings({
      allowlist,
      connections: { crm: connectionTo('api.crm.test', upstream.port, { credential, inject }) },
    })
  }
  const over = new AbortController()
  const answers: number[] = []
  const load = Array.from({ length: 8 }, async () => {
    while (!over.signal.aborted) answers.push(await status())
  })
  for (let round = 1; round <= 50; round++) {
    writeFileSync(`${file}.new`, JSON.stringify(version(round)))
    renameSync(`${file}.new`, file)
    process.kill(running.pid, 'SIGHUP')
    const line = 'sallyport_settings_reloads_total{outcome="ok"}'
    await eventually(async () => (await metric(running, line)) === `${line} ${round}` || undefined, `reload ${round}`)
  }
  over.abort()
  await Promise.all(load)
  expect(answers.length).toBeGreaterThan(100)
  expect(new Set(answers)).toEqual(new Set([200]))
  const spent = upstream.heads().map((head) => /^(authorization|x-credential-\d): (?:Bearer )?(.*)$/im.exec(head))
  const pairs = new Set(spent.map((found) => `${found?.[1]?.toLowerCase()} ${found?.[2]}`))
  expect(pairs).toEqual(
    new Set([`authorization ${CREDENTIAL}`, 'x-credential-0 credential-0', 'x-credential-1 credential-1']),
  )
})

test('with --watch a ConfigMap that the kubelet swaps is read again, without a signal', async () => {
  const directory = crmDirectory()
  onTestFinished(() => remove(directory))
  const mounted = join(directory, 'mounted')
  const swap = (version: string, settings: object) => {
    mkdirSync(join(mounted, version), { recursive: true })
    writeFileSync(join(mounted, version, 'sallyport.yaml'), JSON.stringify(settings))
    symlinkSync(version, join(mounted, '..data_tmp'))
    renameSync(join(mounted, '..data_tmp'), join(mounted, '..data'))
  }
  // Absolute: the settings lie in a directory of their own there.
  const credential = { kind: 'static', secret: { file: join(directory, 'credential') } }
  const connections = { crm: { hosts: ['api.crm.test'], credential } }
  const callers = { checkout: { kind: 'api-key', key: { file: join(directory, 'checkout') } } }
  const audit = { sinks: [{ kind: 'json-lines', path: join(directory, 'audit.jsonl') }] }
  const listeners = [{ kind: 'forward', listen: '127.0.0.1:0' }]
  const settings = { listeners, audit, connections, callers, dns: { hosts: { 'api.crm.test': ['127.0.0.1'] } } }
  swap('..1', settings)
  symlinkSync('..data/sallyport.yaml', join(mounted, 'sallyport.yaml'))
  const config = join(mounted, 'sallyport.yaml')
  const [program = '', ...flags] = CLI
  const child = spawn(program, [...flags, 'serve', '--watch', '--config', config], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let printed = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (printed += String(text)))
  const ready = await eventually(() => /^\{"msg":"ready".*$/m.exec(printed)?.[0], 'its ready line', 40_000)
  const [{ address }] = JSON.parse(ready).listeners
  const refusal = async () => {
    const { text } = await sendRaw(
      address,
      `GET http://api.crm.test/ HTTP/1.1\r\nHost: a\r\n${PROOF}Connection: close\r\n\r\n`,
    )
    return /"code":"([^"]+)"/.exec(text)?.[1]
  }
  expect(await refusal()).toBe('host-not-allowed')
  swap('..2', { ...settings, allowlist: ['api.crm.test'] })
  await eventually(() => /"msg":"settings were read again, and hold/.test(printed) || undefined, 'the next settings')
  expect(await refusal()).toBe('grant-missing')
})

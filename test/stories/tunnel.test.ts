import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { EnvHttpProxyAgent, fetch } from 'undici'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { hasTool, pathOf } from '../support/debian.ts'
import { helloFor } from '../support/hello.ts'
import { closing, drain, startPeer } from '../support/peers.ts'
import { eventually, type Running, reloadSallyport } from '../support/sallyport.ts'
import { openTunnel, secureTunnel, talk } from '../support/tunnel.ts'
import { OK, type RawUpstream, type Step, startUpstream } from '../support/upstream.ts'
import {
  authority,
  CALLER_KEY,
  CREDENTIAL,
  connectionTo,
  crmSettings,
  doorOf,
  PROOF,
  startCrm,
  startCrmForTest,
  stopCrm,
} from './crm.ts'

const HOSTS = ['api.crm.test', 'chat.test', 'quiet.test', 'ending.test', 'passed.test', 'plain.test']
const WHOLE = /ok$|\}\n$/

let upstream: RawUpstream
/** Plain HTTP. */
let plain: RawUpstream
let chat: WebSocketServer
let chatPort: number
let handshakes: string[]
let running: Running
let connections: Readonly<Record<string, object>>
const answers = new Map<string, readonly Step[]>()

beforeAll(async () => {
  const identity = await authority.issue(HOSTS)
  upstream = await startUpstream((head) => answers.get(head.split(' ')[1] ?? '') ?? OK, identity)
  plain = await startUpstream()
  chatPort = await startChat(identity)
  connections = {
    crm: connectionTo('api.crm.test', upstream.port),
    chat: connectionTo('chat.test', chatPort, { websocket: true }),
    quiet: connectionTo('quiet.test', chatPort),
    ending: connectionTo('ending.test', upstream.port),
    passed: connectionTo('passed.test', upstream.port, { credential: { kind: 'none' }, connect: 'tunnel' }),
    plain: connectionTo('plain.test', plain.port, { unsafeAllowPlaintextUpstream: true }),
  }
  running = await startCrm({ port: upstream.port, settings: settingsOf(connections) })
})

afterAll(async () => {
  await stopCrm(running)
  await Promise.all([upstream?.close(), plain?.close()])
  for (const socket of chat?.clients ?? []) socket.terminate()
  chat?.options.server?.close()
})

async function startChat(identity: { readonly key: string; readonly cert: string }): Promise<number> {
  const server = createServer(identity)
  handshakes = []
  server.on('upgrade', ({ rawHeaders }) => handshakes.push(rawHeaders.join('\n')))
  chat = new WebSocketServer({ server })
  chat.on('connection', (socket) => socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as { port: number }).port // a TCP server has an address of this form
}

function settingsOf(connections: Readonly<Record<string, object>>, ending?: number): object {
  return {
    ca: { directory: 'ca' },
    allowlist: ['*.test', 'api.crm.test'],
    connections,
    grants: Object.keys(connections).map((connection) => ({
      caller: 'checkout',
      connection,
      ...(connection === 'ending' && ending !== undefined && { until: new Date(ending).toISOString() }),
    })),
    dns: { hosts: Object.fromEntries(HOSTS.map((host) => [host, ['127.0.0.1']])) },
  }
}

function ourCa({ directory }: Running): string {
  return readFileSync(join(directory, 'ca', 'ca.pem'), 'utf8')
}

async function tunnelTo(target: string, house = running) {
  const { socket, status, text } = await openTunnel(doorOf(house, 'forward'), target, { fields: PROOF })
  expect(status, text).toBe(200)
  onTestFinished(() => void socket.destroy())
  return socket
}

async function secured(host = 'api.crm.test', port = upstream.port, house = running): Promise<TLSSocket> {
  return secureTunnel(await tunnelTo(`${host}:${port}`, house), host, { ca: ourCa(house) })
}

function request(path: string, host = 'api.crm.test', fields = ''): string {
  return `GET ${path} HTTP/1.1\r\nHost: ${host}:${upstream.port}\r\n${fields}\r\n`
}

/** The first entry that says all of this. */
function entryOf(wanted: Readonly<Record<string, unknown>>, house = running): Promise<Record<string, unknown>> {
  return eventually(
    async () => {
      const all = await house.audit(0)
      return all.find((entry) => Object.entries(wanted).every(([name, value]) => entry[name] === value))
    },
    `an entry with ${JSON.stringify(wanted)}`,
  )
}

test('a grant that ends between two requests of a tunnel ends the tunnel', async () => {
  const socket = await secured('ending.test')
  const first = await talk(socket, request('/before', 'ending.test'), WHOLE)
  expect(first.text.slice(9, 12)).toBe('200')
  // The same grant, which has an end now: how long a start takes is for the machine to say.
  const ending = Date.now() + 1_000
  await reloadSallyport(running, crmSettings({ port: upstream.port, settings: settingsOf(connections, ending) }))
  await closing(socket)
  expect(Date.now()).toBeGreaterThanOrEqual(ending)
  const { status, text } = await openTunnel(doorOf(running, 'forward'), `ending.test:${upstream.port}`, {
    fields: PROOF,
  })
  expect(status).toBe(403)
  expect(text).toContain('"code":"grant-expired"')
})

describe('EnvHttpProxyAgent of undici', () => {
  test.each([
    ['http', ''],
    ['https', ':PORT'],
  ])('asks for %s:// through a tunnel, and the credential goes with it', async (scheme, port) => {
    const agent = new EnvHttpProxyAgent({
      httpProxy: `http://checkout:${CALLER_KEY}@${doorOf(running, 'forward')}`,
      httpsProxy: `http://checkout:${CALLER_KEY}@${doorOf(running, 'forward')}`,
      noProxy: '',
      requestTls: { ca: ourCa(running) },
    })
    onTestFinished(() => agent.destroy())
    const url = `${scheme}://api.crm.test${port.replace('PORT', String(upstream.port))}/undici-${scheme}`
    const answer = await fetch(url, { dispatcher: agent })
    expect([answer.status, await answer.text()]).toEqual([200, 'ok'])
    const head = upstream.heads().find((one) => one.includes(`/undici-${scheme} `))
    expect(head).toContain(`Authorization: Bearer ${CREDENTIAL}\r\n`)
    expect(upstream.bytes()).not.toContain(CALLER_KEY)
  })
})

describe('a WebSocket in a tunnel', () => {
  async function chatOver(host: string): Promise<WebSocket> {
    const socket = await secured(host, chatPort)
    const client = new WebSocket(`wss://${host}:${chatPort}/room`, { createConnection: () => socket })
    onTestFinished(() => client.terminate())
    return client
  }

  test('has the credential in its handshake, and carries messages', async () => {
    const client = await chatOver('chat.test')
    await once(client, 'open')
    client.send('a'.repeat(100_000))
    const [data] = (await once(client, 'message')) as [Buffer] // ws gives Buffers
    expect(data).toHaveLength(100_000)
    expect(handshakes.at(-1)).toContain(`Authorization\nBearer ${CREDENTIAL}`)
    expect(handshakes.join('\n')).not.toContain(CALLER_KEY)
    client.close(1000)
    await once(client, 'close')
    expect(await entryOf({ path: '/room', status: 101 })).toMatchObject({ caller: 'checkout', ended: 'complete' })
  })

  test('is refused where the connection does not say that it has any', async () => {
    const client = await chatOver('quiet.test')
    const [, answer] = await once(
      client.on('error', () => undefined),
      'unexpected-response',
    )
    expect(answer.statusCode).toBe(403)
    expect(await entryOf({ code: 'upgrade-refused' })).toMatchObject({ caller: 'checkout', connection: 'quiet' })
  })
})

test('the upstream’s own 421 passes as it is, and says that it is not ours', async () => {
  answers.set('/misdirected', [
    { send: 'HTTP/1.1 421 Misdirected\r\nContent-Length: 2\r\nProxy-Status: evil\r\n\r\nok' },
  ])
  const { text } = await talk(await secured(), request('/misdirected'), WHOLE)
  expect(text).toMatch(/^HTTP\/1\.1 421 Misdirected\r\n/)
  expect(text).not.toMatch(/proxy-status/i)
  expect(await entryOf({ path: '/misdirected' })).toMatchObject({ status: 421, decision: 'permit' })
})

test('plain HTTP to an upstream that speaks no TLS goes by its own port, with TLS and without', async () => {
  const target = `plain.test:${plain.port}`
  const clear = await talk(await tunnelTo(target), `GET /clear HTTP/1.1\r\nHost: ${target}\r\n\r\n`, WHOLE)
  const secure = await talk(
    await secured('plain.test', plain.port),
    `GET /tls HTTP/1.1\r\nHost: ${target}\r\n\r\n`,
    WHOLE,
  )
  expect([clear.text, secure.text].map((text) => text.slice(9, 12))).toEqual(['200', '200'])
  for (const head of plain.heads()) expect(head).toContain(`Authorization: Bearer ${CREDENTIAL}\r\n`)
})

test('an unopened tunnel has the client’s own TLS in it, and no credential of ours', async () => {
  const socket = await tunnelTo(`passed.test:${upstream.port}`)
  const own = await secureTunnel(socket, 'passed.test', { ca: authority.certPem })
  await talk(own, request('/passed', 'passed.test', 'Authorization: Bearer mine\r\n'), WHOLE)
  own.end()
  const head = upstream.heads().find((one) => one.includes('/passed '))
  expect(head).toContain('Authorization: Bearer mine\r\n')
  expect(head).not.toContain(CREDENTIAL)
  expect(await entryOf({ host: 'passed.test' })).toMatchObject({
    tunnel: 'unopened',
    ended: 'complete',
    method: 'CONNECT',
  })
})

describe('a client that does not trust us', () => {
  const trouble = { code: 'certificate-rejected', reason: 'the client rejected our certificate: unknown CA' }

  test('says so in an alert, and the record has it', async () => {
    const before = upstream.bytes().length
    const socket = await tunnelTo(`api.crm.test:${upstream.port}`)
    await talk(socket, await helloFor('api.crm.test', { maxVersion: 'TLSv1.2' }), /\x0e\x00\x00\x00$/)
    socket.end(Buffer.from([21, 3, 3, 0, 2, 2, 48]))
    const entry = await entryOf({ code: 'certificate-rejected' })
    expect(entry).toMatchObject({
      ...trouble,
      tunnel: 'opened',
      ended: 'broken',
      caller: 'checkout',
      host: 'api.crm.test',
    })
    expect(upstream.bytes()).toHaveLength(before)
  })

  test.skipIf(!hasTool('curl')).each(['1.2', '1.3'])('curl, in TLS %s', async (version) => {
    const before = (await running.audit(0)).length
    const proxy = `http://checkout:${CALLER_KEY}@${doorOf(running, 'forward')}`
    const options = ['--silent', '--show-error', '--noproxy', '', '--proxy', proxy, `--tlsv${version}`]
    const url = `https://api.crm.test:${upstream.port}/`
    const said = await new Promise<string>((resolve) => {
      execFile(pathOf('curl'), [...options, '--tls-max', version, url], (_error, _out, err) => resolve(err))
    })
    expect(said).toMatch(/SSL certificate problem/)
    const look = async () => (await running.audit(0)).slice(before).find(({ code }) => code === trouble.code)
    expect(await eventually(look, 'the entry')).toMatchObject({ ...trouble, method: 'CONNECT', ended: 'broken' })
  })

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'Node, in %s, leaves without a word: the record says what that may be',
    async (version) => {
      const before = (await running.audit(0)).length
      const socket = await tunnelTo(`api.crm.test:${upstream.port}`)
      const terms = { minVersion: version, maxVersion: version, ca: authority.certPem }
      await expect(secureTunnel(socket, 'api.crm.test', terms)).rejects.toThrow(/unable to verify/)
      const entry = await leftSince(before)
      expect(entry).toMatchObject({ method: 'CONNECT', tunnel: 'opened', caller: 'checkout' })
    },
  )

  /** The entry of one that left without a word, behind so many others. */
  function leftSince(before: number): Promise<Record<string, unknown>> {
    const wanted = /^closed .*: so does a client that does not trust our certificate$/
    const look = async () => (await running.audit(0)).slice(before).find(({ reason }) => wanted.test(String(reason)))
    return eventually(look, 'the entry')
  }

  test('is no client that leaves without a request, but the two look alike', async () => {
    const before = (await running.audit(0)).length
    const socket = await secured()
    await new Promise<void>((resolve) => socket.end(resolve))
    const reason = 'closed without a request: so does a client that does not trust our certificate'
    expect(await leftSince(before)).toMatchObject({ reason, ended: 'gone', tunnel: 'opened', caller: 'checkout' })
  })
})

test('a wrong proof at CONNECT is a 407 for people and programs', async () => {
  const wrong = 'Proxy-Authorization: Basic Y2hlY2tvdXQ6d3Jvbmc=\r\n'
  const { status, text } = await openTunnel(doorOf(running, 'forward'), `api.crm.test:${upstream.port}`, {
    fields: wrong,
  })
  expect([status, text]).toEqual([407, expect.stringContaining('Proxy-Authenticate: Basic realm="sallyport"')])
  expect(JSON.parse(text.split('\r\n\r\n')[1] ?? '')).toMatchObject({ code: 'caller-unknown', status: 407 })
})

describe('K07: at SIGTERM', () => {
  test('a request in a tunnel is finished, tunnels are closed, and all of it is recorded', async () => {
    const peer = await startPeer()
    onTestFinished(() => peer.close())
    const unread = { credential: { kind: 'none' }, connect: 'tunnel', tunnel: 'any' }
    const house = await startCrmForTest({
      port: upstream.port,
      settings: settingsOf({
        crm: connectionTo('api.crm.test', upstream.port),
        passed: connectionTo('passed.test', peer.port, unread),
      }),
    })
    const open = () => secured('api.crm.test', upstream.port, house)
    const [busy, idle, unused] = [await open(), await open(), await open()]
    const [whole, half] = await Promise.all([0, 1].map(() => tunnelTo(`passed.test:${peer.port}`, house)))
    // Of one of the two the caller's way is over, and the upstream's is not.
    half?.end()
    await eventually(() => peer.sockets.find((socket) => socket.resume().readableEnded), 'the end at the peer')
    await talk(idle, request('/idle'), WHOLE)
    const release = Promise.withResolvers<void>()
    answers.set('/slow', [{ wait: release.promise }, ...OK])
    const answer = talk(busy, request('/slow'), WHOLE)
    await eventually(() => upstream.heads().find((head) => head.includes('/slow')), 'the request in flight')

    const ended = house.stop('SIGTERM')
    await Promise.all([drain(idle), drain(unused)])
    expect(whole?.closed).toBe(false)
    release.resolve()
    expect((await answer).text).toMatch(/^HTTP\/1\.1 200 [\s\S]*\r\nConnection: close\r\n[\s\S]*ok$/i)
    expect(await ended).toBe(0)
    const entries = await house.audit(7)
    expect(entries.filter(({ method }) => method === 'CONNECT')).toHaveLength(5)
    expect(entries.filter(({ tunnel }) => tunnel === 'unopened')).toMatchObject([{ ended: 'gone' }, { ended: 'gone' }])
    expect(entries.filter(({ path }) => path === '/slow')).toMatchObject([{ status: 200, ended: 'complete' }])
    expect(new Set(entries.map(({ id }) => id)).size).toBe(7)
  })
})

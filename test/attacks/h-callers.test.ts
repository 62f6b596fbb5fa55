import { randomBytes } from 'node:crypto'
import { chmodSync, lstatSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sendRaw, WHOLE_ANSWER } from '../support/raw-client.ts'
import { eventually, privateDirectory, remove, runCli, writeSecret } from '../support/sallyport.ts'
import { besiege, CARRIERS, type Carrier, type Siege, type Sight, valuesIn } from './siege.ts'

/** Section H of the catalogue: who asks, and who only says so. Ids are the catalogue's. */
let siege: Siege
const uid = process.getuid?.() ?? 0
const gid = process.getgid?.() ?? 0

beforeAll(async () => {
  siege = await besiege({
    settings: ({ connection }) => ({
      listeners: [
        { kind: 'reverse', listen: 'unix:peer.sock', connections: ['peer', 'other'] },
        { kind: 'reverse', listen: 'unix:door.sock', connection: 'peer', caller: 'door' },
      ],
      callers: {
        // The kernel names this process; the other id is nobody here.
        neighbour: { kind: 'unix-peer', gid },
        stranger: { kind: 'unix-peer', uid: uid + 1 },
        door: { kind: 'socket' },
      },
      connections: {
        peer: connection('peer', ['ws.test']),
        other: connection('other', ['none.test']),
        keyed: connection('keyed', ['query.test'], { inject: { kind: 'header', name: 'X-Api-Key' } }),
        past: connection('past', ['scoped.test']),
      },
      grants: [
        { caller: 'neighbour', connection: 'peer' },
        { caller: 'stranger', connection: 'other' },
        { caller: 'door', connection: 'peer' },
        { caller: 'alpha', connection: 'keyed', rules: [{ methods: ['GET'], paths: ['/v1/*'] }] },
        { caller: 'alpha', connection: 'past', until: '2020-01-01T00:00:00Z' },
      ],
    }),
  })
})

afterAll(() => siege.end())

const ANSWERED = { until: /\r\n\r\n[\s\S]*(?:ok|\}\n)$/ }

/** Sends to the proxy, or to the reverse door on TCP: on the Unix sockets the kernel would speak up for us. */
function send(carrier: Carrier, template: string, wait: object = ANSWERED): Promise<Sight> {
  const isForward = carrier === 'forward'
  const bytes = siege.bytes(carrier, template.replaceAll('{T}', isForward ? 'http://api.test' : '/api'))
  return siege.attack(isForward ? siege.forward : siege.port, bytes, wait)
}

/** A GET with these fields for a proof. */
function knock(carrier: Carrier, fields: string, target = '/'): Promise<Sight> {
  return send(carrier, `GET {T}${target} HTTP/1.1⏎Host: localhost⏎${fields}⏎`)
}

function basic(text: string): string {
  return `Basic ${Buffer.from(text, 'latin1').toString('base64')}`
}

/** Each offer, in the order in which a client takes the first it can do. */
const CHALLENGES: Readonly<Record<Carrier, readonly unknown[]>> = {
  forward: [expect.stringMatching(/^Basic realm="sallyport"/)],
  reverse: [expect.stringMatching(/^Bearer realm="sallyport"/), expect.stringMatching(/^Basic realm="sallyport"/)],
}

function expectUnknown({ status, text, sent }: Sight, carrier: Carrier): void {
  expect([status, sent]).toEqual([carrier === 'forward' ? 407 : 401, ''])
  const field = carrier === 'forward' ? 'proxy-authenticate' : 'www-authenticate'
  expect(valuesIn(text, field)).toEqual(CHALLENGES[carrier])
}

describe.each(CARRIERS)('%s', (carrier) => {
  const field = carrier === 'forward' ? 'Proxy-Authorization' : 'Authorization'

  test('H01 without a proof the answer is a challenge', async () => expectUnknown(await knock(carrier, ''), carrier))

  test.each([
    ['wrong', 'Bearer wrong'],
    ['empty', 'Bearer '],
    ['nothing at all', ''],
    ['8 KiB', `Bearer ${'x'.repeat(8192)}`],
    ['not ASCII', 'Bearer \xff\xfe'],
    ['a scheme alone', 'Basic'],
    ['another scheme', 'Digest username="alpha"'],
    ['no base64', 'Basic a!b'],
    ['base64 with a comma', 'Basic YTpi, Basic YTpi'],
    ['Basic without a colon', basic('alpha')],
    ['Basic with an empty key', basic('alpha:')],
    ['Basic with a wrong key', basic('alpha:wrong')],
    ['Basic of a name from Object.prototype', basic('__proto__:wrong')],
  ])('H02 a proof that is %s proves nobody', async (_name, value) =>
    expectUnknown(await knock(carrier, `${field}: ${value}⏎`), carrier),
  )

  test('H02 a part of a key, or more than it, is no key', async () => {
    const { alpha } = siege.keys
    for (const key of [alpha.slice(0, -1), alpha.slice(1), `${alpha}x`, alpha.toUpperCase(), `${alpha}\t${alpha}`]) {
      expectUnknown(await knock(carrier, `${field}: Bearer ${key}⏎`), carrier)
    }
  })

  test('H02 two proofs are none, whoever they name', async () => {
    for (const other of [siege.keys.alpha, siege.keys.beta, 'wrong']) {
      const sight = await knock(carrier, `${field}: Bearer ${siege.keys.alpha}⏎${field}: Bearer ${other}⏎`)
      expectUnknown(sight, carrier)
    }
  })

  test('H02 64 KiB of a proof do not fit', async () => {
    const { status, sent } = await knock(carrier, `${field}: Bearer ${'x'.repeat(65_536)}⏎`)
    expect([status, sent]).toEqual([431, ''])
  })

  test('two requests with different keys on one connection are two callers', async () => {
    const one = (key: string, path: string) => `GET {T}${path} HTTP/1.1⏎Host: localhost⏎${field}: Bearer ${key}⏎⏎`
    const { alpha, beta } = siege.keys
    const sight = await send(
      carrier,
      one(alpha, `/${carrier}-1`) + one(beta, `/${carrier}-2`) + one('wrong', `/${carrier}-3`),
      {
        until: /\}\n$/,
      },
    )
    expect(sight.text.match(/HTTP\/1\.1 \d+/g)).toEqual([
      'HTTP/1.1 200',
      'HTTP/1.1 200',
      `HTTP/1.1 ${carrier === 'forward' ? 407 : 401}`,
    ])
    expect(sight.requests).toHaveLength(2)
    const entries = await siege.entries(new RegExp(`^/${carrier}-[123]$`), 3)
    const callers = Object.fromEntries(entries.map(({ path, caller }) => [path, caller]))
    expect(callers).toEqual({ [`/${carrier}-1`]: 'alpha', [`/${carrier}-2`]: 'beta', [`/${carrier}-3`]: undefined })
  })
})

test('H02 a name beside another caller’s key proves nobody', async () => {
  const cases: [string, boolean][] = [
    ['alpha', true],
    ['', true],
    ['beta', false],
    ['ALPHA', false],
    ['alpha ', false],
    ['nobody', false],
  ]
  for (const [name, isKnown] of cases) {
    const { status } = await knock('forward', `Proxy-Authorization: ${basic(`${name}:${siege.keys.alpha}`)}⏎`)
    expect([name, status]).toEqual([name, isKnown ? 200 : 407])
  }
})

test('H03 a grant that has ended lets nobody through', async () => {
  const head = siege.bytes('forward', 'GET http://scoped.test/ HTTP/1.1⏎{H}⏎')
  const { status, text, sent } = await siege.attack(siege.forward, head, ANSWERED)
  expect([status, sent]).toEqual([403, ''])
  expect(text).toContain('grant-expired')
})

test.each([
  ['another connection', `GET http://b.test/ HTTP/1.1⏎Host: a⏎Proxy-Authorization: Bearer {BETA}⏎⏎`],
  ['another method', 'POST http://query.test/v1/a HTTP/1.1⏎{H}Content-Length: 0⏎⏎'],
  ['another path', 'GET http://query.test/v2/a HTTP/1.1⏎{H}⏎'],
  ['another port', 'GET http://query.test:443/v1/a HTTP/1.1⏎{H}⏎'],
])('H04 a grant covers no more than it says: %s', async (_name, template) => {
  const head = siege.bytes('forward', template.replace('{BETA}', siege.keys.beta))
  const { status, sent } = await siege.attack(siege.forward, head, ANSWERED)
  expect([status, sent]).toEqual([403, ''])
})

test.each([
  ['Authorization', '/', 'Authorization: Bearer {KEY}⏎'],
  ['the query', '/?key={KEY}&api_key={KEY}', ''],
  ['a cookie', '/', 'Cookie: key={KEY}⏎'],
  ['a field of its own', '/', 'X-Api-Key: {KEY}⏎'],
])('H05 at the forward door a key in %s is none', async (_where, path, fields) => {
  const sight = await knock(
    'forward',
    fields.replaceAll('{KEY}', siege.keys.alpha),
    path.replaceAll('{KEY}', siege.keys.alpha),
  )
  expectUnknown(sight, 'forward')
})

test('H06 H07 the proof stays here, and at a reverse door one meant for proxies proves nobody', async () => {
  const proof = `Authorization: Bearer ${siege.keys.alpha}⏎`
  const other = `Proxy-Authorization: ${basic(`beta:${siege.keys.beta}`)}⏎PROXY-AUTHORIZATION: x⏎Proxy_Authorization: x⏎`
  const { requests, sent } = await knock('reverse', proof + other)
  expect(requests).toHaveLength(1)
  expect(sent).not.toMatch(/proxy.auth/i)
  for (const key of Object.values(siege.keys)) expect(sent).not.toContain(key)
  expectUnknown(await knock('reverse', other), 'reverse')
})

test('H06 a key in the place of the upstream’s own is replaced there', async () => {
  const head = `GET /keyed/v1/a HTTP/1.1\r\nHost: localhost\r\nx-api-KEY: ${siege.keys.alpha}\r\n\r\n`
  const { requests, sent } = await siege.attack(siege.port, head, ANSWERED)
  expect(valuesIn(requests[0]?.head ?? '', 'x-api-key')).toEqual([siege.credentials['keyed']])
  expect(sent).not.toContain(siege.keys.alpha)
})

describe('H09 on a Unix socket', () => {
  const address = () => siege.sallyport.doors[3]?.address ?? ''
  const ask = (path: string, fields = '') =>
    siege.attack(address(), `GET ${path} HTTP/1.1\r\nHost: x\r\n${fields}\r\n`, ANSWERED)

  test('the kernel says who asks', async () => {
    const { requests } = await ask('/peer/')
    expect(requests.map(({ head }) => valuesIn(head, 'authorization'))).toEqual([
      [`Bearer ${siege.credentials['peer']}`],
    ])
  })

  test('what another user may do is not for this one', async () => {
    const { status, text, sent } = await ask('/other/')
    expect([status, sent]).toEqual([403, ''])
    expect(text).toContain('grant-missing')
  })

  test('nobody can say to be somebody else', async () => {
    for (const fields of ['X-Uid: 0\r\n', `X-Forwarded-User: stranger\r\n`, 'Authorization: Basic c3RyYW5nZXI6\r\n']) {
      expect((await ask('/other/', fields)).status).toBe(403)
    }
  })

  test('a door that names its caller is that caller’s', async () => {
    const { requests } = await siege.attack(
      siege.sallyport.doors[4]?.address ?? '',
      'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
      ANSWERED,
    )
    expect(requests).toHaveLength(1)
  })

  test('on TCP the kernel knows nobody', async () => {
    const { status, sent } = await siege.attack(siege.port, 'GET /peer/ HTTP/1.1\r\nHost: localhost\r\n\r\n', ANSWERED)
    expect([status, sent]).toEqual([401, ''])
  })
})

describe('H14 a browser at a TCP door', () => {
  test.each([
    ['a rebound name', 'Host: attacker.example⏎', 421],
    ['a rebound name with our port', 'Host: attacker.example:{PORT}⏎', 421],
    ['the name of the upstream', 'Host: api.test⏎', 421],
    ['another page', 'Host: localhost⏎Origin: https://evil.example⏎', 403],
    ['a page without an origin', 'Host: localhost⏎Origin: null⏎', 403],
    ['a cross-site request', 'Host: localhost⏎Sec-Fetch-Site: cross-site⏎', 403],
    ['a same-site request', 'Host: localhost⏎Sec-Fetch-Site: same-site⏎', 403],
    ['two answers to whose page it is', 'Host: localhost⏎Sec-Fetch-Site: none⏎Sec-Fetch-Site: cross-site⏎', 403],
    ['a page of another port', 'Host: localhost:{PORT}⏎Origin: http://localhost:1⏎', 403],
    [
      'a page that says to be same-origin, of another origin',
      'Host: localhost⏎Sec-Fetch-Site: same-origin⏎Origin: https://evil.example⏎',
      403,
    ],
  ])('%s is refused, whatever its proof', async (_name, fields, status) => {
    const port = siege.port.split(':')[1] ?? ''
    const sight = await siege.attack(
      siege.port,
      siege.bytes('reverse', `GET /api/ HTTP/1.1⏎${fields.replace('{PORT}', port)}{P}⏎`),
      ANSWERED,
    )
    expect([sight.status, sight.sent]).toEqual([status, ''])
  })
})

test.each(['/livez', '/healthz', '/readyz', '/metrics', '/status', '/.well-known/x', '/admin', '/'])(
  'H17 %s is no page of a door',
  async (path) => {
    for (const host of ['localhost', siege.sallyport.admin ?? '']) {
      const anonymous = await siege.attack(siege.reverse, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`, ANSWERED)
      expect([anonymous.status, anonymous.sent]).toEqual([403, ''])
      const { status, sent, text } = await siege.attack(
        siege.port,
        `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
        ANSWERED,
      )
      expect([401, 404]).toContain(status)
      expect(sent + text).not.toMatch(/process_cpu|"phase"/)
    }
  },
)

test('H17 the admin door lets nobody out', async () => {
  const head = siege.bytes('forward', 'GET http://api.test/ HTTP/1.1⏎{H}⏎')
  const sight = await siege.attack(siege.sallyport.admin ?? '', head, { until: /\r\n\r\n/ })
  expect(sight.sent).toBe('')
  expect(sight.status).toBeGreaterThanOrEqual(400)
})

test('a key that is rotated in its file is known, and the one before is not, within five seconds', async () => {
  const before = siege.keys.beta
  const after = `key-${randomBytes(24).toString('hex')}`
  const status = async (key: string) =>
    (
      await sendRaw(
        siege.forward,
        `GET http://api.test/ HTTP/1.1\r\nHost: a\r\nProxy-Authorization: Bearer ${key}\r\n\r\n`,
        { until: WHOLE_ANSWER },
      )
    ).status
  expect([await status(before), await status(after)]).toEqual([200, 407])
  renameSync(writeSecret(siege.directory, 'beta.new', after), join(siege.directory, 'beta'))
  await eventually(async () => ((await status(after)) === 200 ? true : undefined), 'the new key', 5_000)
  expect(await status(before)).toBe(407)
})

describe('H11 H13 where a socket may stand', () => {
  const directory = privateDirectory()
  const live = createServer()
  afterAll(() => {
    live.close()
    remove(directory)
  })

  test.each([
    [
      'a regular file',
      'file.sock',
      (path: string) => writeFileSync(path, 'precious'),
      /no socket|not a socket|other than/,
    ],
    ['a dangling link', 'link.sock', (path: string) => symlinkSync(join(directory, 'nowhere'), path), /link/],
    ['somebody’s live socket', 'live.sock', (path: string) => listenAt(path), /somebody listens/],
    ['a directory that anybody may write to', 'open/x.sock', (path: string) => openDirectory(path), /chmod/],
    ['a path of 120 bytes', `${'x'.repeat(120)}.sock`, () => undefined, /shorter/],
    ['an abstract name', '@abstract', () => undefined, /abstract/],
  ])('%s: refused in words, and left as it was', async (_name, name, prepare, words) => {
    const path = name.startsWith('@') ? name : join(directory, name)
    await Promise.resolve(prepare(path))
    const before = lstatSync(path, { throwIfNoEntry: false })
    const file = join(directory, `${randomBytes(4).toString('hex')}.yaml`)
    const listeners = [{ kind: 'reverse', listen: `unix:${path}`, caller: 'door' }]
    writeFileSync(file, JSON.stringify({ listeners, callers: { door: { kind: 'socket' } } }))
    const { code, stdout, stderr } = await runCli(['serve', '--config', file])
    expect(code).toBe(2)
    // The audit starts before the doors do.
    expect(stdout.split('\n').filter((line) => line !== '' && !line.startsWith('{"msg":"start",'))).toEqual([])
    expect(stderr).toMatch(words)
    expect(stderr).not.toMatch(/\n\s+at /)
    expect(lstatSync(path, { throwIfNoEntry: false })?.ino).toBe(before?.ino)
  })

  function listenAt(path: string): Promise<void> {
    return new Promise((resolve) => live.listen(path, resolve))
  }

  function openDirectory(path: string): void {
    mkdirSync(join(path, '..'))
    chmodSync(join(path, '..'), 0o777)
  }

  test('H09 the id that stands for nobody in particular cannot be a caller', async () => {
    const file = join(directory, 'nobody.yaml')
    writeFileSync(
      file,
      JSON.stringify({
        listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }],
        callers: { nobody: { kind: 'unix-peer', uid: 65534 } },
      }),
    )
    const { code, stderr } = await runCli(['check', '--config', file])
    expect(code).toBe(2)
    expect(stderr).toMatch(/callers\.nobody\.uid/)
  })
})

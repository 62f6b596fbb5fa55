import { createServer, type Server } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type DnsStub, startDnsStub } from '../support/dns-stub.ts'
import { sendRaw, WHOLE_ANSWER } from '../support/raw-client.ts'
import { writeSecret } from '../support/sallyport.ts'
import type { Step } from '../support/upstream.ts'
import { besiege, type Siege, type Sight, valuesIn } from './siege.ts'

/** Section G of the catalogue, and what of J could leak: where a secret might come out. Ids are the catalogue's. */
let siege: Siege
let dns: DnsStub
/** What HTTP_PROXY and its kin name: whoever connects here has been led astray. */
let decoy: Server
let strays = 0

const LONG_LIVED = 'canary-of-the-client-secret'
const ISSUER_TEXT = 'canary-in-the-answer-of-the-issuer'
const answers = new Map<string, readonly Step[]>()

const ISSUER_ANSWERS: readonly (readonly [name: string, head: string, body: string])[] = [
  ['html', '200 OK', `<html>${ISSUER_TEXT}</html>`],
  ['empty', '200 OK', ''],
  ['cut', '200 OK', `{"access_token":"${ISSUER_TEXT}`],
  ['null', '200 OK', 'null'],
  ['list', '200 OK', `["${ISSUER_TEXT}"]`],
  ['deep', '200 OK', '['.repeat(10_000)],
  ['object', '200 OK', `{"access_token":{"${ISSUER_TEXT}":1},"token_type":"Bearer"}`],
  ['mac', '200 OK', `{"access_token":"${ISSUER_TEXT}","token_type":"mac"}`],
  ['split', '200 OK', `{"access_token":"${ISSUER_TEXT}\\r\\nX: 1","token_type":"Bearer"}`],
  ['unicode', '200 OK', `{"access_token":"${ISSUER_TEXT}\\u2192","token_type":"Bearer"}`],
  ['refused', '400 Bad Request', `{"error":"invalid_client","error_description":"${ISSUER_TEXT}"}`],
  ['failing', `500 ${ISSUER_TEXT}`, ISSUER_TEXT],
  ['moved', '302 Found\r\nLocation: https://evil.test/token', ISSUER_TEXT],
  ['moved-on', '307 Temporary Redirect\r\nLocation: http://evil.test/token', ISSUER_TEXT],
]

beforeAll(async () => {
  dns = await startDnsStub({})
  decoy = createServer((socket) => {
    strays++
    socket.destroy()
  })
  await new Promise<void>((resolve) => decoy.listen(0, '127.0.0.1', resolve))
  // A server on TCP has an address of this shape.
  const proxy = `http://127.0.0.1:${(decoy.address() as { port: number }).port}`
  for (const [name, head, body] of ISSUER_ANSWERS) {
    answers.set(`/token/${name}`, [
      { send: `HTTP/1.1 ${head}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}` },
    ])
  }
  siege = await besiege({
    script: (path) => answers.get(path.split('?', 1)[0] ?? ''),
    env: {
      NODE_USE_ENV_PROXY: '1',
      HTTP_PROXY: proxy,
      HTTPS_PROXY: proxy,
      ALL_PROXY: proxy,
      http_proxy: proxy,
      https_proxy: proxy,
    },
    settings({ directory, port, connection }) {
      writeSecret(directory, 'long-lived', LONG_LIVED)
      const issued = (name: string) =>
        [
          `issued-${name}`,
          connection(`issued-${name}`, [`${name}.issued.test`], { credential: credentialOf(name, port) }),
        ] as const
      const broken = {
        ...Object.fromEntries(ISSUER_ANSWERS.map(([name]) => issued(name))),
        refused: connection('refused', ['refused.test'], { port: 9 }),
        unresolved: connection('unresolved', ['unresolved.test']),
        untrusted: connection('untrusted', ['untrusted.test']),
        slow: connection('slow', ['scoped.test'], { limits: { responseTimeoutMs: 200 } }),
        keyed: connection('keyed', ['query.test'], { inject: { kind: 'query', name: 'api_key' } }),
      }
      return {
        connections: broken,
        allowlist: ['refused.test', 'unresolved.test', 'untrusted.test', '*.issued.test'],
        grants: Object.keys(broken).map((name) => ({ caller: 'alpha', connection: name })),
        dns: {
          servers: [dns.address],
          hosts: Object.fromEntries(
            ['api.test', 'b.test', 'refused.test', 'untrusted.test', 'scoped.test', 'query.test', 'none.test'].map(
              (host) => [host, ['127.0.0.1']],
            ),
          ),
        },
      }
    },
  })
})

afterAll(async () => {
  await siege.end()
  dns.close()
  decoy.close()
})

function credentialOf(name: string, port: number): object {
  return {
    kind: 'client-credentials',
    tokenEndpoint: `https://none.test:${port}/token/${name}`,
    clientId: 'app',
    clientSecret: { file: 'long-lived' },
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: ['127.0.0.0/8'],
  }
}

function attack(template: string, wait: object = { until: /\r\n\r\n[\s\S]*(?:ok|\}\n)$/ }): Promise<Sight> {
  return siege.attack(siege.forward, siege.bytes('forward', template), wait)
}

function get(target: string): Promise<Sight> {
  return attack(`GET ${target} HTTP/1.1⏎{H}X-Mine: canary-of-the-request⏎⏎`)
}

/** Whatever must never be seen by a caller or in any log. */
function expectNoCanary(text: string): void {
  const canaries = [...Object.values(siege.credentials), ...Object.values(siege.keys), LONG_LIVED, ISSUER_TEXT]
  for (const canary of canaries) {
    expect(text).not.toContain(canary)
    expect(text).not.toContain(Buffer.from(canary).toString('base64').slice(2, -4))
  }
}

test('G01 a redirect is the caller’s to follow, and each step is judged and gets its own credential', async () => {
  for (const status of [301, 302, 303, 307, 308]) {
    answers.set('/moved', [
      { send: `HTTP/1.1 ${status} Moved\r\nLocation: http://evil.test/x\r\nContent-Length: 2\r\n\r\nok` },
    ])
    const moved = await get('http://api.test/moved')
    expect([moved.status, moved.requests.length]).toEqual([status, 1])
  }
  const evil = await get('http://evil.test/x')
  expect([evil.status, evil.sent]).toEqual([403, ''])
  const other = await get('http://b.test/x')
  expect(other.requests.map(({ head }) => valuesIn(head, 'authorization'))).toEqual([
    [`Bearer ${siege.credentials['b']}`],
  ])
})

describe('G03 a failure tells its code and no more', () => {
  answers.set('/hang', ['hang'])
  answers.set('/reset', ['reset'])
  test.each([
    ['host-not-allowed', 'http://evil.test/'],
    ['upstream-unreachable', 'http://refused.test/'],
    ['upstream-unresolved', 'http://unresolved.test/'],
    ['upstream-untrusted', 'http://untrusted.test/'],
    ['upstream-timeout', 'http://scoped.test/hang'],
    ['upstream-unreachable', 'http://api.test/reset'],
  ])('%s', async (code, target) => {
    const { text } = await get(`${target}?q=canary-of-the-request`)
    const [head = '', body = ''] = text.split('\r\n\r\n')
    expect(JSON.parse(body)).toMatchObject({ code })
    expect(head + body).not.toMatch(/canary|127\.0\.0\.1|\d+\.\d+\.\d+\.\d+|ECONN|ENOTFOUND|certificate has|at \w+ \(/)
    expect(valuesIn(text, 'proxy-status')).toEqual([expect.stringContaining(`details="${code}"`)])
    expectNoCanary(text)
  })
})

describe('J01 J07 J13 J21 an issuer that misbehaves', () => {
  test.each(ISSUER_ANSWERS)(
    '%s: nothing is injected, nothing of its words goes on, and no redirect is followed',
    async (name) => {
      const sight = await get(`http://${name}.issued.test/`)
      expect([502, 503]).toContain(sight.status)
      expect(sight.text).toMatch(/credential-(?:failed|unavailable)/)
      const elsewhere = sight.requests.filter(({ line }) => !line.startsWith(`POST /token/${name} `))
      expect(elsewhere).toEqual([])
      expectNoCanary(sight.text)
    },
  )
})

test('G05 a query is not recorded, one ask is one line, and control characters have no way in', async () => {
  const { requests } = await get('http://api.test/p?api_key=canary-in-the-query%0d%0aFAKE%1b[31m')
  expect(requests[0]?.line).toBe('GET /p?api_key=canary-in-the-query%0d%0aFAKE%1b[31m HTTP/1.1')
  for (const odd of [
    'GET http://api.test/\x1b[31m HTTP/1.1⏎{H}⏎',
    'GET http://api.test/ HTTP/1.1⏎{H}User-Agent: \x1b[31m⏎⏎',
  ]) {
    const sight = await attack(odd, {})
    expect([sight.status, sight.sent]).toEqual([400, ''])
  }
  const entries = await siege.entries(/^\/p$/, 1)
  const all = JSON.stringify(entries) + siege.sallyport.output()
  expect(all).not.toMatch(/canary-in-the-query|FAKE|\x1b/)
})

test('G14 a credential in a query is put there once, and neither recorded nor shown to the caller', async () => {
  const { requests, text } = await get('http://query.test/q?api_key=mine&a=1&api%5Fkey=mine')
  expect(requests.map(({ line }) => line)).toEqual([`GET /q?a=1&api_key=${siege.credentials['keyed']} HTTP/1.1`])
  expectNoCanary(text)
})

test('G09 no upstream connection serves two callers', async () => {
  const proofs = Object.entries(siege.keys).map(
    ([name, key]) => [name, `Proxy-Authorization: Bearer ${key}\r\n`] as const,
  )
  const rounds = Array.from({ length: 8 }, (_, round) => round)
  await Promise.all(
    rounds.flatMap((round) =>
      proofs.map(async ([name, proof]) => {
        const one = (at: number) => `GET http://api.test/of-${name}/${round}/${at} HTTP/1.1\r\nHost: a\r\n${proof}\r\n`
        const twentyFive = Array.from({ length: 25 }, (_, at) => one(at)).join('')
        const { text } = await sendRaw(siege.forward, twentyFive, {
          until: /(?:HTTP\/1\.1 200 OK\r\n(?:[^\r]+\r\n)+\r\nok){25}$/,
          deadlineMs: 45_000,
        })
        expect(text.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(25)
      }),
    ),
  )
  const users = siege.upstream.connections.map(
    ({ bytes }) => new Set([...bytes.matchAll(/^GET \/of-(\w+)\//gm)].map(([, name]) => name)),
  )
  expect(users.filter(({ size }) => size > 1)).toEqual([])
  expect(users.filter(({ size }) => size === 1).length).toBeGreaterThanOrEqual(2)
  expect(siege.upstream.heads().filter((head) => head.startsWith('GET /of-'))).toHaveLength(400)
})

describe('G11 an upstream that resets', () => {
  test('after a POST is not asked again', async () => {
    for (const body of ['', 'abc']) {
      const { status, sent } = await attack(
        `POST http://api.test/reset HTTP/1.1⏎{H}Content-Length: ${body.length}⏎⏎${body}`,
      )
      expect([status, sent.match(/POST \/reset /g)?.length]).toEqual([502, 1])
    }
  })

  test('after a GET is asked once more at most, and nobody else is', async () => {
    const { status, requests } = await get('http://api.test/reset')
    expect(status).toBe(502)
    expect(requests.length).toBeLessThanOrEqual(2)
    for (const { head } of requests)
      expect(valuesIn(head, 'authorization')).toEqual([`Bearer ${siege.credentials['api']}`])
  })

  test('after a part of the answer is not asked again', async () => {
    answers.set('/part', [{ send: 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart' }, 'reset'])
    const { requests, closed } = await attack('GET http://api.test/part HTTP/1.1⏎{H}⏎', {})
    expect([requests.length, closed]).toEqual([1, true])
  })
})

test('G13 fields that invite to another place are followed by nobody', async () => {
  const connections = siege.upstream.connections.length
  const invitations = ['Alt-Svc: h2=":443"', 'Refresh: 0; url=http://b.test/', 'Link: <http://b.test/>; rel=preconnect']
  answers.set('/invite', [{ send: `HTTP/1.1 200 OK\r\n${invitations.join('\r\n')}\r\nContent-Length: 2\r\n\r\nok` }])
  const { text, requests } = await get('http://api.test/invite')
  expect(requests).toHaveLength(1)
  expect(valuesIn(text, 'alt-svc')).toEqual([])
  expect(siege.upstream.connections.length - connections).toBeLessThanOrEqual(1)
})

test('G15 a caller without the grant is refused, and the credential goes nowhere', async () => {
  const head = `GET http://b.test/ HTTP/1.1\r\nHost: b.test\r\nProxy-Authorization: Bearer ${siege.keys.beta}\r\n\r\n`
  const { status, sent, text } = await siege.attack(siege.forward, head, { until: WHOLE_ANSWER })
  expect([status, sent]).toEqual([403, ''])
  expectNoCanary(text)
})

test('G06 what callers choose adds no series to the metrics', async () => {
  const scrape = async () =>
    (
      await sendRaw(
        siege.sallyport.admin ?? '',
        'GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
      )
    ).text
  const refuse = (host: string) => get(`http://${host}.evil.test/${host}`)
  await refuse('first')
  const before = await scrape()
  for (let at = 0; at < 30; at++) await refuse(`host-${at}`)
  const after = await scrape()
  const series = (text: string) => text.split('\n').filter((line) => line.startsWith('sallyport_')).length
  expect(series(before)).toBeGreaterThan(0)
  expect(series(after)).toBe(series(before))
  expect(after).not.toMatch(/evil\.test|host-\d/)
})

test('none of it is in any log line, audit entry, metric or health answer, and no proxy of the environment was asked', async () => {
  const ask = async (path: string) =>
    (await sendRaw(siege.sallyport.admin ?? '', `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`))
      .text
  const admin = await Promise.all(['/metrics', '/readyz', '/livez', '/startupz', '/debug', '/config'].map(ask))
  const audit = JSON.stringify(await siege.sallyport.audit(50))
  expectNoCanary([...admin, audit, siege.sallyport.output()].join('\n'))
  expect(siege.sallyport.output()).not.toContain('canary')
  expect(strays, 'G12').toBe(0)
})

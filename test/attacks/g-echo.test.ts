import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sendRaw } from '../support/raw-client.ts'
import { OK, type Step } from '../support/upstream.ts'
import { attackInside } from './inside.ts'
import { besiege, type Siege } from './siege.ts'

/** G02 and G14 of the catalogue: an upstream that sends back what it was sent. */
let siege: Siege

const WHOLE = /\r\n\r\n[\s\S]*(?:END|\}\n)$|0\r\n\r\n$/

/** Whatever the request showed, in one place of an answer each, by path. */
const ECHOES: Readonly<Record<string, (shown: string, head: string) => readonly Step[]>> = {
  '/json': (_shown, head) => plain(`${JSON.stringify({ head })}END`),
  '/location': (shown) => [
    { send: `HTTP/1.1 302 Found\r\nLocation: https://a.test/?token=${encodeURIComponent(shown)}\r\n${LENGTH}END` },
  ],
  '/challenge': (shown) => [
    { send: `HTTP/1.1 401 No\r\nX-Seen: ${shown}\r\nWWW-Authenticate: ${shown}\r\n${LENGTH}END` },
  ],
  '/reason': (shown) => [{ send: `HTTP/1.1 400 bad ${shown}\r\n${LENGTH}END` }],
  '/base64': (_shown, head) => plain(`${Buffer.from(head).toString('base64')} END`),
  '/base64url': (shown) => plain(`${Buffer.from(`x${shown}`).toString('base64url')} END`),
  '/bytes': (shown) => [
    { send: `HTTP/1.1 200 OK\r\nContent-Length: ${shown.length + 3}\r\n\r\n` },
    ...shown
      .split('')
      .flatMap((char): Step[] => [{ send: char }, { wait: new Promise((resolve) => setImmediate(resolve)) }]),
    { send: 'END' },
  ],
  '/chunks': (shown) => [
    { send: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n' },
    ...shown.split('').map((char): Step => ({ send: `1\r\n${char}\r\n` })),
    { send: '0\r\n\r\n' },
  ],
  '/hint': (shown) => [{ send: `HTTP/1.1 103 Early Hints\r\nLink: </${shown}>; rel=preload\r\n\r\n` }, ...plain('END')],
  '/packed': (shown) => {
    const body = gzipSync(shown)
    const head = `HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n`
    return [{ send: Buffer.concat([Buffer.from(head), body]) }]
  },
}

const LENGTH = 'Content-Length: 3\r\n\r\n'

function plain(body: string): readonly Step[] {
  return [{ send: `HTTP/1.1 200 OK\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}` }]
}

beforeAll(async () => {
  siege = await besiege({
    script: (path, head) => {
      const [, name = ''] = /^(\/[a-z0-9]+)/.exec(path) ?? []
      const shown = /^authorization: (.*)\r$/im.exec(head)?.[1] ?? /[?&]api_key=([^ &]*)/.exec(path)?.[1] ?? ''
      return ECHOES[name]?.(shown, head) ?? OK
    },
    settings: ({ connection }) => {
      const connections = {
        guarded: connection('guarded', ['guarded.x.test'], { scrubResponses: true }),
        basic: connection('basic', ['basic.x.test'], { scrubResponses: true, inject: { kind: 'basic', user: 'app' } }),
        keyed: connection('keyed', ['query.test'], {
          scrubResponses: true,
          inject: { kind: 'query', name: 'api_key' },
        }),
      }
      const names = ['guarded.x.test', 'basic.x.test', 'api.test', 'query.test']
      return {
        ca: { directory: 'ca' },
        connections,
        allowlist: names.slice(0, 2),
        grants: Object.keys(connections).map((each) => ({ caller: 'alpha', connection: each })),
        dns: { hosts: Object.fromEntries(names.map((host) => [host, ['127.0.0.1']])) },
      }
    },
  })
})

afterAll(() => siege?.end())

async function get(host: string, path: string, fields = ''): Promise<string> {
  const bytes = siege.bytes('forward', `GET http://${host}${path} HTTP/1.1⏎Host: ${host}⏎{P}${fields}⏎`)
  return (await sendRaw(siege.forward, bytes, { until: WHOLE })).text
}

/** Any eight characters in a row of it are too many; base64 by whatever could be read of it. */
function tells(text: string, name: string): boolean {
  const secret = siege.credentials[name] ?? ''
  const unfolded = text.replace(/\r\n1\r\n/g, '')
  const decoded = [...unfolded.matchAll(/[\w+/-]{16,}/g)].flatMap(([run]) =>
    [0, 1, 2, 3].map((from) => Buffer.from(run.slice(from), 'base64').toString('latin1')),
  )
  const parts = Array.from({ length: secret.length - 7 }, (_, at) => secret.slice(at, at + 8))
  return [unfolded, ...decoded].some((each) => parts.some((part) => each.includes(part)))
}

describe.each([
  ['guarded', 'guarded.x.test'],
  ['basic', 'basic.x.test'],
])('through %s, whose responses are scrubbed', (name, host) => {
  test.each(Object.keys(ECHOES).filter((path) => path !== '/packed'))(
    'G02: an upstream that echoes by %s tells nothing',
    async (path) => {
      const text = await get(host, path)
      expect(text).toMatch(/\*{8,}|(?:1\r\n\*\r\n){8,}/)
      expect(tells(text, name), text).toBe(false)
    },
  )
})

test.each(['/json', '/location', '/reason', '/base64', '/bytes', '/chunks'])(
  'G02: where they are not, one that echoes by %s does tell, as the reference says',
  async (path) => {
    expect(tells(await get('api.test', path), 'api')).toBe(true)
  },
)

test('G02: an upstream that packs its answer all the same is refused, and nothing of it reaches the caller', async () => {
  const text = await get('guarded.x.test', '/packed', 'Accept-Encoding: gzip⏎Range: bytes=0-3⏎')
  expect(text).toMatch(/^HTTP\/1\.1 502 /)
  expect(text).toContain('"code":"upstream-malformed"')
  const [head = ''] = siege.upstream.heads().filter((each) => each.includes(' /packed '))
  expect(head).toMatch(/\r\nAccept-Encoding: identity\r\n/)
  expect(head).not.toMatch(/gzip|range/i)
})

test('G14: a key of the query does not come back in a Location', async () => {
  const text = await get('query.test', '/location?a=1')
  expect(text).toMatch(/^HTTP\/1\.1 302 /)
  expect(text).toMatch(/token=\*{20,}/)
  expect(tells(text, 'keyed')).toBe(false)
})

test('G02: nor in an opened tunnel', async () => {
  const { text } = await attackInside(siege, 'GET /json HTTP/1.1⏎{H}⏎', { host: 'guarded.x.test', until: WHOLE })
  expect(text).toMatch(/^HTTP\/1\.1 200 /)
  expect(tells(text, 'guarded'), text).toBe(false)
})

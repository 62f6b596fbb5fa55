import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { type ConnectionOptions, connect } from 'node:tls'
import * as fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import { type ClientHello, MAX_HELLO_BYTES, parseClientHello } from '../../src/wire/client-hello.ts'
import { hasTool, pathOf } from '../support/debian.ts'

type Bytes = readonly number[]

/** Bytes behind their length. */
function vector(sizeOfLength: number, content: Bytes): Bytes {
  return [...number(sizeOfLength, content.length), ...content]
}

function number(size: number, value: number): Bytes {
  return Array.from({ length: size }, (_, at) => (value >> (8 * (size - 1 - at))) & 255)
}

function ascii(text: string): Bytes {
  return [...Buffer.from(text, 'latin1')]
}

function extension(type: number, content: Bytes): Bytes {
  return [...number(2, type), ...vector(2, content)]
}

function serverName(...names: readonly string[]): Bytes {
  return extension(0, vector(2, names.map((name) => [0, ...vector(2, ascii(name))]).flat()))
}

function alpn(...protocols: readonly string[]): Bytes {
  return extension(16, vector(2, protocols.map((name) => vector(1, ascii(name))).flat()))
}

const SESSION = vector(1, Array<number>(32).fill(7))
const SUITES = vector(2, [0x13, 0x01, 0x13, 0x02])
const NO_COMPRESSION = vector(1, [0])

interface Parts {
  readonly session?: Bytes
  readonly suites?: Bytes
  readonly compression?: Bytes
  /** With its length. */
  readonly extensions?: Bytes
}

/** A whole handshake message. */
function message({ session = SESSION, suites = SUITES, compression = NO_COMPRESSION, extensions = [] }: Parts): Bytes {
  const random = Array<number>(32).fill(9)
  return [1, ...vector(3, [3, 3, ...random, ...session, ...suites, ...compression, ...extensions])]
}

function record(fragment: Bytes, type = 22): Bytes {
  return [type, 3, 1, ...vector(2, fragment)]
}

/** One record with a hello that has these extensions. */
function helloWith(...extensions: readonly Bytes[]): Bytes {
  return record(message({ extensions: vector(2, extensions.flat()) }))
}

/** A message in records of at most so many bytes. */
function fragmented(whole: Bytes, size: number): Bytes {
  const count = Math.ceil(whole.length / size)
  return Array.from({ length: count }, (_, at) => record(whole.slice(at * size, (at + 1) * size))).flat()
}

function parse(bytes: Bytes): ReturnType<typeof parseClientHello> {
  return parseClientHello(Buffer.from(bytes))
}

const GOOD = helloWith(serverName('api.test'), alpn('h2', 'http/1.1'))
const GOOD_RESULT: ClientHello = { serverName: 'api.test', protocols: ['h2', 'http/1.1'], encrypted: false }

test('reads the server name and the protocols', () => {
  expect(parse(GOOD)).toEqual(GOOD_RESULT)
})

test('no extensions at all: TLS 1.2 leaves even their length out', () => {
  const nothing = { serverName: undefined, protocols: [], encrypted: false }
  expect(parse(helloWith())).toEqual(nothing)
  expect(parse(record(message({})))).toEqual(nothing)
})

test.each([
  ['encrypted_client_hello', 0xfe0d, true],
  ['the old encrypted_server_name', 0xffce, true],
  ['session_ticket', 35, false],
])('%s (%i) makes it encrypted: %s', (_what, type, encrypted) => {
  expect(parse(helloWith(extension(type, [1, 2, 3]), serverName('api.test')))).toMatchObject({ encrypted })
})

test('two GREASE extensions and a GREASE protocol change nothing', () => {
  const hello = helloWith(extension(0x0a0a, []), serverName('api.test'), alpn('\x1a\x1a', 'h2'), extension(0xdada, [0]))
  expect(parse(hello)).toEqual({ serverName: 'api.test', protocols: ['\x1a\x1a', 'h2'], encrypted: false })
})

test.each(['API.Test', 'api.test.', '127.0.0.1', '*.test', 'a\0b', 'a'.repeat(255), 'a b', '\xc3\xa4.test'])(
  'D24: the server name %j is given as it was sent',
  (name) => {
    expect(parse(helloWith(serverName(name)))).toMatchObject({ serverName: name })
  },
)

test('D24: a byte above 127 is never taken for the letter that shares its lower bits', () => {
  expect(parse(helloWith(serverName('\xe1pi.test')))).toMatchObject({ serverName: '\xe1pi.test' })
})

test.each([1, 2, 3, 4, 5, 60])('a record that ends after %i bytes of the hello changes nothing', (size) => {
  const whole = message({ extensions: vector(2, [...serverName('api.test'), ...alpn('h2', 'http/1.1')]) })
  const cut = [...record(whole.slice(0, size)), ...record(whole.slice(size))]
  expect(parse(cut)).toEqual(GOOD_RESULT)
})

test('a hello comes in up to 64 records', () => {
  const whole = message({ extensions: vector(2, [...serverName('api.test'), ...alpn('h2', 'http/1.1')]) })
  expect(parse(fragmented(whole, Math.ceil(whole.length / 64)))).toEqual(GOOD_RESULT)
  expect(parse(fragmented(whole, 1))).toBe('malformed')
})

test('early data behind the hello, whole or not, is left alone', () => {
  for (const behind of [record([1, 2, 3], 23), [23], [20, 3, 3, 0, 1, 1], [0, 0], record([], 22)])
    expect(parse([...GOOD, ...behind])).toEqual(GOOD_RESULT)
})

test.each<[string, Bytes]>([
  ['an SSLv2 hello', [0x80, 0x2e, 1, 3, 1, 0, 15, 0, 0, 0, 16]],
  ['an alert', record([2, 40], 21)],
  ['application data', record([1], 23)],
  ['HTTP', ascii('GET / HTTP/1.1\r\n')],
  ['SSH', ascii('SSH-2.0-OpenSSH\r\n')],
  ['a handshake of another major version', [22, 2, 0, 0, 4, 1, 0, 0, 0]],
])('D26: %s is not TLS, from its first byte or its second', (_what, bytes) => {
  expect(parse(bytes)).toBe('not-tls')
  expect(parse(bytes.slice(0, 2))).toBe('not-tls')
})

const MALFORMED: readonly (readonly [string, Bytes])[] = [
  ['a record without a byte', [22, 3, 1, 0, 0]],
  ['a record without a byte in the middle', [...record([1, 0]), ...record([])]],
  ['a record that is too long', [22, 3, 1, 0x40, 0x01]],
  ['an alert in the middle', [...record(GOOD.slice(5, 50)), ...record([1, 0], 21)]],
  ['another major version in the middle', [...record(GOOD.slice(5, 50)), 22, 2]],
  ['another handshake message', record([2, ...message({}).slice(1)])],
  ['the first byte of another handshake message', record([2, ...message({}).slice(1)]).slice(0, 6)],
  ['a message of more than 16 KiB', record([1, 0, 0x40, 0])],
  ['a message without a body', record([1, 0, 0, 0])],
  ['a session id of 33 bytes', record(message({ session: vector(1, Array<number>(33).fill(0)) }))],
  ['no cipher suites', record(message({ suites: vector(2, []) }))],
  ['half a cipher suite', record(message({ suites: vector(2, [1, 2, 3]) }))],
  ['no compression method', record(message({ compression: vector(1, []) }))],
  ['extensions shorter than their length', record(message({ extensions: [0, 9, 0, 0] }))],
  ['bytes behind the extensions', record(message({ extensions: [...vector(2, alpn('h2')), 0] }))],
  ['half a length of the extensions', record(message({ extensions: [0] }))],
  ['an extension longer than the list', helloWith([0, 0, 0, 1])],
  ['half an extension', helloWith([0, 0, 0])],
  ['two of one type', helloWith(extension(35, []), extension(35, []))],
  ['a second server_name', helloWith(serverName('api.test'), serverName('evil.test'))],
  ['a second name in server_name', helloWith(serverName('api.test', 'evil.test'))],
  ['a server_name without a name', helloWith(serverName())],
  ['an empty server_name', helloWith(extension(0, []))],
  ['a server_name of no bytes', helloWith(serverName(''))],
  ['a name of another type', helloWith(extension(0, vector(2, [1, ...vector(2, ascii('api.test'))])))],
  ['a name longer than its list', helloWith(extension(0, vector(2, [0, 0, 9, ...ascii('api.test')])))],
  ['bytes behind the name', helloWith(extension(0, vector(2, [0, ...vector(2, ascii('api.test')), 0])))],
  ['bytes behind the list of names', helloWith(extension(0, [...vector(2, [0, ...vector(2, ascii('a'))]), 0]))],
  ['ALPN without a protocol', helloWith(alpn())],
  ['a protocol of no bytes', helloWith(alpn('h2', ''))],
  ['bytes behind the list of protocols', helloWith(extension(16, [...vector(2, vector(1, ascii('h2'))), 0]))],
]

test.each(MALFORMED)('F13: malformed: %s', (_what, bytes) => {
  expect(parse(bytes)).toBe('malformed')
})

test('F13: of the greatest number of bytes none is the beginning of a hello any more', () => {
  const greatest = message({ extensions: vector(2, extension(21, Array<number>(16_299).fill(0))) })
  expect(greatest).toHaveLength(2 ** 14)
  expect(parse(fragmented(greatest, 256))).toMatchObject({ protocols: [] })
  expect(fragmented(greatest, 256)).toHaveLength(MAX_HELLO_BYTES)
  expect(parse(fragmented(greatest, 256).slice(0, -1))).toBe('more')
  const oneMore = message({ extensions: vector(2, extension(21, Array<number>(16_300).fill(0))) })
  expect(parse(fragmented(oneMore, 2 ** 14).slice(0, 9))).toBe('malformed')
})

const anyHello = fc
  .record({
    name: fc.string({ minLength: 1, maxLength: 60, unit: 'grapheme-ascii' }),
    protocols: fc.array(fc.string({ minLength: 1, maxLength: 9, unit: 'grapheme-ascii' }), { minLength: 1 }),
    padding: fc.nat(300),
    size: fc.integer({ min: 20, max: 600 }),
  })
  .map(({ name, protocols, padding, size }) => {
    const extensions = [...extension(21, Array<number>(padding).fill(0)), ...serverName(name), ...alpn(...protocols)]
    return { name, protocols, bytes: fragmented(message({ extensions: vector(2, extensions) }), size) }
  })

test('whatever a hello says is read, however it is cut, and every part of it before the end is "more"', () => {
  fc.assert(
    fc.property(anyHello, fc.uint8Array(), ({ name, protocols, bytes }, behind) => {
      const flight = Buffer.from([...bytes, ...behind])
      expect(parseClientHello(flight)).toEqual({ serverName: name, protocols, encrypted: false })
      for (let end = 0; end < bytes.length; end++) expect(parseClientHello(flight.subarray(0, end))).toBe('more')
    }),
    { numRuns: 30 },
  )
})

const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 })

test('F13: no bytes make it throw, and what it has once said of a beginning it says of all that begins so', () => {
  fc.assert(
    fc.property(anyHello, damage, fc.uint8Array({ maxLength: 50 }), ({ bytes }, changes, behind) => {
      const flight = Buffer.from([...bytes, ...behind])
      for (const [at, value] of changes) flight[at % flight.length] = value
      let before: ReturnType<typeof parseClientHello> = 'more'
      for (let end = 0; end <= flight.length; end++) {
        const now = parseClientHello(flight.subarray(0, end))
        if (before !== 'more') expect(now).toEqual(before)
        before = now
      }
    }),
    { numRuns: 100 },
  )
})

test('F13: random bytes in a record do not make it throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      parseClientHello(Buffer.from(bytes))
      parse(record([1, ...vector(3, [...bytes])]))
      parse(helloWith([...bytes]))
      parse(helloWith(extension(0, [...bytes]), extension(16, [...bytes])))
    }),
    { numRuns: 2_000 },
  )
})

/** The first flight of a client that connects to the port which this gives it. */
async function flightOf(start: (port: number) => ChildProcess | undefined): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const child = start((server.address() as AddressInfo).port) // a TCP server has an address of this form
  child?.on('error', () => undefined)
  onTestFinished(() => {
    child?.kill('SIGKILL')
    server.close()
  })
  const [socket] = await once(server, 'connection')
  let flight = Buffer.alloc(0)
  for await (const chunk of socket) {
    flight = Buffer.concat([flight, chunk])
    if (parseClientHello(flight) !== 'more') break
  }
  return flight
}

async function flightOfNode(options: ConnectionOptions): Promise<Buffer> {
  return flightOf((port) => {
    connect({ port, host: '127.0.0.1', ...options }).on('error', () => undefined)
    return undefined
  })
}

test('Node: TLS 1.3 with a post-quantum key share, TLS 1.2, and no name', async () => {
  const ALPNProtocols = ['h2', 'http/1.1']
  const flight = await flightOfNode({ servername: 'api.test', ALPNProtocols })
  expect(flight.length).toBeGreaterThan(1_500)
  expect(parseClientHello(flight)).toEqual(GOOD_RESULT)
  const old = await flightOfNode({ servername: 'api.test', ALPNProtocols, maxVersion: 'TLSv1.2' })
  expect(parseClientHello(old)).toEqual(GOOD_RESULT)
  expect(parseClientHello(await flightOfNode({}))).toEqual({ serverName: undefined, protocols: [], encrypted: false })
})

test.skipIf(!hasTool('openssl')).each<[string, string[], Partial<ClientHello>]>([
  ['with -alpn', ['-servername', 'api.test', '-alpn', 'h2,http/1.1'], GOOD_RESULT],
  ['with -noservername', ['-noservername'], { serverName: undefined, protocols: [] }],
  ['in small records', ['-servername', 'api.test', '-max_send_frag', '512'], { serverName: 'api.test' }],
])('openssl s_client %s', async (_how, args, expected) => {
  const flight = await flightOf((port) =>
    spawn(pathOf('openssl'), ['s_client', '-connect', `127.0.0.1:${port}`, ...args], { stdio: 'pipe' }),
  )
  expect(parseClientHello(flight)).toMatchObject(expected)
})

test.skipIf(!hasTool('curl'))('curl', async () => {
  const flight = await flightOf((port) => {
    const resolve = `api.test:${port}:127.0.0.1`
    return spawn(pathOf('curl'), ['-s', '--resolve', resolve, `https://api.test:${port}/`], { stdio: 'ignore' })
  })
  expect(parseClientHello(flight)).toEqual(GOOD_RESULT)
})

import { once } from 'node:events'
import { connect } from 'node:http2'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { ELSEWHERE, OTHER_UID } from '../stories/redirected.ts'
import { openRedirected, PORTS, type RedirectedHouse } from '../stories/redirected-house.ts'
import { helloFor, inRecordsOf, withExtension } from '../support/hello.ts'
import { ask } from '../support/http2.ts'
import { canMakeNetworks } from '../support/networks.ts'
import { eventually } from '../support/sallyport.ts'
import { talk } from '../support/tunnel.ts'
import { OK } from '../support/upstream.ts'

/** Sections D, E, F and I of the catalogue, at a door to which apps are sent by nftables. Ids are the catalogue's. */
const WHOLE = /\r\n\r\nok$|\}\n$/
const ANY = /[^]/
const HANDSHAKE_RECORD = '\x16'
const ALERTS = {
  illegalParameter: 47,
  accessDenied: 49,
  decodeError: 50,
  unrecognizedName: 112,
  noProtocol: 120,
} as const
const GREASE_OF_ECH = Buffer.from('0000010001aa0020'.padEnd(80, '0'), 'hex')

describe.skipIf(!canMakeNetworks())('at a transparent door', () => {
  let house: RedirectedHouse

  beforeAll(async () => {
    house = await openRedirected({
      connections: {
        second: {},
        loopback: { allowPrivate: [] },
        metadata: { allowPrivate: [] },
        unread: { allowPrivate: [], credential: { kind: 'none' }, connect: 'tunnel' },
      },
      hosts: {
        'loopback.test': ['127.0.0.1', '::ffff:127.0.0.1'],
        'metadata.test': ['169.254.169.254'],
        'unread.test': ['169.254.169.254'],
      },
    })
  }, 60_000)

  afterAll(async () => house?.close())

  async function inside(host = 'crm.test', protocol = 'http/1.1'): Promise<TLSSocket> {
    const socket = house.secure(host, { ALPNProtocols: [protocol] })
    await once(socket, 'secureConnect')
    onTestFinished(() => void socket.destroy())
    return socket
  }

  async function sessionOf() {
    const socket = await inside('crm.test', 'h2')
    const session = connect('https://crm.test', { createConnection: () => socket })
    onTestFinished(() => session.destroy())
    return session
  }

  /** Sends bytes, and reads until there is something to see. */
  async function say(socket: Socket, bytes: Buffer | string, until = WHOLE) {
    onTestFinished(() => void socket.destroy())
    const { text, closed } = await talk(socket, bytes, until)
    return { text, closed, status: Number(text.slice(9, 12)), code: /"code":"([^"]+)"/.exec(text)?.[1] }
  }

  function headOf(path: string): string | undefined {
    return house.upstream.heads().find((head) => head.includes(` ${path} `))
  }

  function alert(name: keyof typeof ALERTS): string {
    return String.fromCharCode(21, 3, 3, 0, 2, 2, ALERTS[name])
  }

  let places = 0
  /** A destination that no other test has, so that its entry can be told. */
  function nextPlace(): string {
    return `198.51.100.${++places}`
  }

  async function sayHello(hello: Buffer, port: number = PORTS.crm) {
    const address = nextPlace()
    const socket = house.app(port, { address })
    const { text } = await say(socket, hello, ANY)
    // Its entry is there once it is over.
    socket.destroy()
    return { text, entry: () => house.entry({ originalDestination: `${address}:${port}` }) }
  }

  describe('D22 D27: a name within TLS that is not the one of its ClientHello', () => {
    test.each(['second.test', 'other.test', 'evil.test', `crm.test:${PORTS.chat}`, '203.0.113.7'])(
      'is misdirected over HTTP/1.1: %s',
      async (host) => {
        const before = house.upstream.heads().length
        const { status, code } = await say(await inside(), `GET /front HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
        expect([status, code]).toEqual([421, 'authority-mismatch'])
        expect(house.upstream.heads().length).toBe(before)
      },
    )

    test.each(['second.test', 'other.test', 'evil.test'])(
      'is misdirected over HTTP/2, where clients coalesce, and what is under way there is answered: %s',
      async (host) => {
        const release = Promise.withResolvers<void>()
        const path = `/slow/${host}`
        house.answers.set(path, [{ wait: release.promise }, ...OK])
        const session = await sessionOf()
        const slow = ask(session, { ':path': path, ':authority': 'CRM.test:443' })
        await eventually(() => headOf(path), 'the request under way')
        expect(await ask(session, { ':path': `/front/${host}`, ':authority': host })).toMatchObject({ status: 421 })
        release.resolve()
        expect(await slow).toMatchObject({ status: 200, body: 'ok', isWhole: true })
        expect(headOf(path)).toMatch(/\r\nhost: crm\.test\r\n/i)
        expect(headOf(`/front/${host}`)).toBeUndefined()
        if (!session.closed) await once(session, 'close')
      },
    )
  })

  test('plain HTTP: each request of a connection is judged by its own Host', async () => {
    const socket = house.app(80)
    expect((await say(socket, 'GET /a HTTP/1.1\r\nHost: crm.test\r\n\r\n')).status).toBe(200)
    expect((await say(socket, 'GET /b HTTP/1.1\r\nHost: second.test\r\n\r\n')).status).toBe(200)
    expect((await say(socket, 'GET /c HTTP/1.1\r\nHost: other.test\r\n\r\n')).code).toBe('grant-missing')
    const [a, b] = ['/a', '/b'].map((path) =>
      house.upstream.connections.find(({ bytes }) => bytes.includes(`GET ${path} `)),
    )
    expect(a?.id).not.toBe(b?.id)
  })

  test('a ticket of one host does not resume TLS for another, and its name stays the newest', async () => {
    const [ticket] = (await once(house.secure('crm.test'), 'session')) as [Buffer] // that is what the event has
    const again = house.secure('second.test', { session: ticket, ALPNProtocols: ['http/1.1'] })
    await once(again, 'secureConnect')
    expect(again.isSessionReused()).toBe(false)
    expect((await say(again, 'GET /x HTTP/1.1\r\nHost: crm.test\r\n\r\n')).status).toBe(421)
  })

  test.each(['CRM.TEST', 'cRm.TeSt'])('D05 D06 D24: %s in TLS and in Host is crm.test', async (name) => {
    const socket = house.secure(name)
    await once(socket, 'secureConnect')
    expect((await say(socket, `GET /case/${name} HTTP/1.1\r\nHost: ${name}.\r\n\r\n`)).status).toBe(200)
    expect(headOf(`/case/${name}`)).toMatch(/\r\nhost: crm\.test\r\n/i)
    const { text, entry } = await sayHello(await helloFor(`${name}.`))
    expect(text[0]).toBe(HANDSHAKE_RECORD)
    expect(await entry()).toMatchObject({ host: 'crm.test', connection: 'crm' })
  })

  test.each([
    ['a byte above 127', 'crm.t\xe9st'],
    ['a full-width dot', Buffer.from('crm。test').toString('latin1')],
    ['a NUL', 'evil.test\0.crm.test'],
    ['two dots', 'crm.test..'],
    ['a star', '*.test'],
    ['an A-label that decodes to nothing', 'xn--a.crm.test'],
    ['an address in disguise', '0x7f.1'],
    ['an IPv4-mapped address', '::ffff:203.0.113.7'],
  ])('D09 D11 D24: %s is no name', async (_what, name) => {
    const { text, entry } = await sayHello(await helloFor(name))
    expect(text).toBe(alert('unrecognizedName'))
    expect(await entry()).toMatchObject({ code: 'destination-unnamed', caller: 'app' })
  })

  describe('D25: an Encrypted Client Hello', () => {
    test('counts by its outer name where we answer the TLS', async () => {
      const { text, entry } = await sayHello(withExtension(await helloFor('crm.test'), 0xfe0d, GREASE_OF_ECH))
      expect(text[0]).toBe(HANDSHAKE_RECORD)
      expect(await entry()).toMatchObject({ host: 'crm.test', tunnel: 'opened' })
    })

    test('is refused where it would pass unread', async () => {
      const before = house.passed.sockets.length
      const hello = withExtension(await helloFor('passed.test'), 0xfe0d, GREASE_OF_ECH)
      const { text, entry } = await sayHello(hello, PORTS.passed)
      expect(text).toBe(alert('illegalParameter'))
      expect(await entry()).toMatchObject({ code: 'tunnel-unfit', ended: 'broken' })
      // It was dialled, and is told nothing.
      const dialled = house.passed.sockets[before]
      expect(dialled?.bytesRead ?? 0).toBe(0)
    })
  })

  test('F14: a client that speaks neither HTTP/1.1 nor HTTP/2 is told so', async () => {
    const { text } = await sayHello(await helloFor('crm.test', { ALPNProtocols: ['acme-tls/1'] }))
    expect(text).toMatch(new RegExp(`^\\x15\\x03.\\x00\\x02\\x02${String.fromCharCode(ALERTS.noProtocol)}`))
  })

  test.each([9, 40, 200])('F13: a ClientHello in records of %i bytes, a byte a packet, is one', async (size) => {
    const socket = house.app(PORTS.crm, { address: nextPlace() })
    socket.setNoDelay(true)
    const hello = inRecordsOf(
      await helloFor('crm.test', { ciphers: 'TLS_AES_128_GCM_SHA256', ecdhCurve: 'X25519' }),
      size,
    )
    for (const byte of hello) await new Promise((resolve) => socket.write(Buffer.from([byte]), resolve))
    expect((await say(socket, '', ANY)).text[0]).toBe(HANDSHAKE_RECORD)
  })

  test('F13: one in records of a byte is more of them than anybody needs', async () => {
    const { text, entry } = await sayHello(inRecordsOf(await helloFor('crm.test'), 1))
    expect(text).toBe(alert('decodeError'))
    expect(await entry()).toMatchObject({ code: 'destination-unnamed', reason: 'the ClientHello is malformed' })
  })

  test.each([
    ['absolute-form', 'GET https://crm.test/ HTTP/1.1\r\nHost: crm.test\r\n\r\n', 400, 'target-malformed'],
    ['a CONNECT', 'CONNECT crm.test:443 HTTP/1.1\r\nHost: crm.test:443\r\n\r\n', 403, 'connect-refused'],
    ['two hosts', 'GET / HTTP/1.1\r\nHost: crm.test\r\nHost: crm.test\r\n\r\n', 400, 'request-malformed'],
    ['SMTP', 'EHLO crm.test\r\n', 400, 'request-malformed'],
    ['HTTP/2 without its ALPN', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 'request-malformed'],
    ['another ClientHello', '\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00', 400, 'request-malformed'],
  ])('D03 D16 D26: %s within TLS is refused in words', async (_what, bytes, status, code) => {
    const before = house.upstream.heads().length
    const answer = await say(await inside(), Buffer.from(bytes, 'latin1'))
    expect([answer.status, answer.code]).toEqual([status, code])
    expect(house.upstream.heads().length).toBe(before)
  })

  test('D22: HTTP/1.0 within TLS may do without Host', async () => {
    expect((await say(await inside(), 'GET /old HTTP/1.0\r\n\r\n')).status).toBe(200)
    expect(headOf('/old')).toMatch(/\r\nhost: crm\.test\r\n/i)
  })

  test('I15: HTTP/2 without TLS, and SOCKS, are no HTTP', async () => {
    for (const bytes of ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', '\x05\x01\x00', '\x04\x01\x01\xbb\xcb\x00\x71\x07\x00']) {
      const { text } = await say(house.app(80), Buffer.from(bytes, 'latin1'))
      expect(text).toMatch(/^HTTP\/1\.1 400 /)
    }
  })

  test('E02: an IPv4-mapped destination is the IPv4 address', async () => {
    const address = `::ffff:${nextPlace()}`
    const { status } = await say(house.app(80, { address }), 'GET /mapped HTTP/1.1\r\nHost: crm.test\r\n\r\n')
    expect(status).toBe(200)
    expect(await house.entry({ path: '/mapped' })).toMatchObject({ originalDestination: `${address.slice(7)}:80` })
  })

  test.each(['169.254.169.254', ELSEWHERE.ipv4, '10.77.0.1'])(
    'E01: %s is where nobody gets to by going there, whatever the name',
    async (address) => {
      const named = await say(house.app(80, { address }), `GET /to/${address} HTTP/1.1\r\nHost: crm.test\r\n\r\n`)
      expect(named.status).toBe(200)
      expect(headOf(`/to/${address}`)).toMatch(/\r\nhost: crm\.test\r\n/i)
      const unnamed = await say(house.app(80, { address }), `GET /latest HTTP/1.1\r\nHost: ${address}\r\n\r\n`)
      expect(unnamed.code).toBe('destination-unnamed')
    },
  )

  test.each(['loopback.test', 'metadata.test'])(
    'E04: %s is not dialled, whatever the app connects to',
    async (host) => {
      const { status, code } = await say(house.app(80), `GET /in HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
      expect([status, code]).toEqual([403, 'address-not-allowed'])
    },
  )

  test('E04: nor is one that would pass unread', async () => {
    const { text, entry } = await sayHello(await helloFor('unread.test'))
    expect(text).toBe(alert('accessDenied'))
    expect(await entry()).toMatchObject({ code: 'address-not-allowed' })
  })

  test('H07: whom the rules send to another door stays that caller', async () => {
    const head = (host: string) => `GET /who HTTP/1.1\r\nHost: ${host}\r\nProxy-Authorization: Basic YXBwOng=\r\n\r\n`
    const uid = OTHER_UID
    expect((await say(house.app(80, { uid }), head('other.test'))).status).toBe(200)
    expect((await say(house.app(80, { uid }), head('crm.test'))).code).toBe('grant-missing')
    expect((await say(house.app(80), head('other.test'))).code).toBe('grant-missing')
  })

  test('I02 F13: who drips is closed in ten seconds, and others are served meanwhile', {
    timeout: 30_000,
  }, async () => {
    const hello = await helloFor('crm.test')
    const [tls, plain] = [house.app(PORTS.crm, { address: nextPlace() }), house.app(80)]
    const begun = performance.now()
    let at = 0
    const drip = setInterval(() => {
      tls.write(hello.subarray(at, at + 1))
      plain.write(at === 0 ? 'GET / HTTP/1.1\r\nX: ' : 'x')
      at += 1
    }, 100)
    onTestFinished(() => clearInterval(drip))
    expect((await say(house.app(80), 'GET /meanwhile HTTP/1.1\r\nHost: crm.test\r\n\r\n')).status).toBe(200)
    await Promise.all([tls, plain].map((socket) => once(socket.resume(), 'close')))
    expect(performance.now() - begun).toBeLessThan(15_000)
    expect(at).toBeLessThan(hello.length)
    await eventually(
      () => house.sallyport.audit(1).then((all) => all.find(({ code }) => code === 'request-timeout')),
      'a 408',
    )
    await house.entry({ reason: 'no whole ClientHello in time' })
  })

  test('and after all of that it serves', async () => {
    expect((await say(await inside(), 'GET /alive HTTP/1.1\r\nHost: crm.test\r\n\r\n')).status).toBe(200)
    expect(house.sallyport.output()).not.toMatch(/"level":"?(?:error|fatal|50|60)/)
  })
})

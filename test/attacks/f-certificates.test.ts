import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ConnectionOptions, createServer, type TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { askAdmin, authority, connectionTo, doorOf, PROOF, startCrm, stopCrm } from '../stories/crm.ts'
import { hasTool, pathOf } from '../support/debian.ts'
import { sendRaw, WHOLE_ANSWER } from '../support/raw-client.ts'
import type { Running } from '../support/sallyport.ts'
import { openTunnel, secureTunnel, talk } from '../support/tunnel.ts'
import { type RawUpstream, startUpstream } from '../support/upstream.ts'

/** Section F of the catalogue: what we present in a tunnel, and whom we believe behind it. Ids are the catalogue's. */
let running: Running
let upstream: RawUpstream
let curious: Awaited<ReturnType<typeof startCurious>>

beforeAll(async () => {
  upstream = await startUpstream(undefined, await authority.issue(['api.crm.test', 'a.wild.test']))
  curious = await startCurious()
  const connections = {
    crm: connectionTo('api.crm.test', upstream.port),
    // The same server, which cannot prove to be this one.
    impostor: connectionTo('impostor.test', upstream.port),
    wild: connectionTo('*.wild.test', upstream.port),
    curious: connectionTo('curious.test', curious.port),
  }
  running = await startCrm({
    port: upstream.port,
    settings: {
      ca: { directory: 'ca' },
      allowlist: ['*.test', '*.wild.test'],
      connections,
      grants: Object.keys(connections).map((connection) => ({ caller: 'checkout', connection })),
      dns: {
        hosts: Object.fromEntries(
          ['api.crm.test', 'impostor.test', 'a.wild.test', 'curious.test'].map((host) => [host, ['127.0.0.1']]),
        ),
      },
    },
  })
})

afterAll(async () => {
  await stopCrm(running)
  await upstream?.close()
  curious?.close()
})

/** It asks its clients for a certificate, and has a new connection for each request. */
async function startCurious() {
  const seen: { readonly certificate: object; readonly isResumed: boolean; readonly bytes: string }[] = []
  const options = { ...(await authority.issue(['curious.test'])), requestCert: true, rejectUnauthorized: false }
  const server = createServer(options, (socket) => {
    socket.on('error', () => undefined)
    socket.once('data', (chunk) => {
      seen.push({
        certificate: socket.getPeerCertificate(),
        isResumed: socket.isSessionReused(),
        bytes: chunk.toString('latin1'),
      })
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number } // a TCP server has an address of this form
  return { port, seen, close: () => server.close() }
}

function ourCa(): string {
  return readFileSync(join(running.directory, 'ca', 'ca.pem'), 'utf8')
}

/** TLS in a tunnel to this host, with a client that trusts us. */
async function secured(host: string, port = upstream.port, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const { socket, status, text } = await openTunnel(doorOf(running, 'forward'), `${host}:${port}`, { fields: PROOF })
  expect(status, text).toBe(200)
  const secure = await secureTunnel(socket, host, { ca: ourCa(), ...options })
  onTestFinished(() => void secure.destroy())
  return secure
}

function certificateOf(socket: TLSSocket): X509Certificate {
  const certificate = socket.getPeerX509Certificate()
  if (!certificate) throw new Error('the tunnel has shown no certificate')
  return certificate
}

function get(socket: TLSSocket, host: string, port = upstream.port): Promise<{ text: string }> {
  return talk(socket, `GET / HTTP/1.1\r\nHost: ${host}:${port}\r\n\r\n`, /ok$|\}\n$/)
}

const HOUR_MS = 3_600_000
/** Labels as long as they may be: 253 bytes with the suffix. */
const LONGEST = `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(51)}.wild.test`

describe('F07: the certificate in a tunnel', () => {
  test('is for this host alone, for a day, under a serial and a key that are not the authority’s', async () => {
    const ca = new X509Certificate(ourCa())
    const leaves = await Promise.all(
      ['api.crm.test', 'a.wild.test', 'b.wild.test'].map(async (host) => {
        const socket = await secured(host)
        return { host, leaf: certificateOf(socket) }
      }),
    )
    for (const { host, leaf } of leaves) {
      expect([leaf.subjectAltName, leaf.ca, leaf.keyUsage]).toEqual([`DNS:${host}`, false, ['1.3.6.1.5.5.7.3.1']])
      expect(leaf.verify(ca.publicKey)).toBe(true)
      expect(leaf.publicKey.equals(ca.publicKey)).toBe(false)
      expect(Date.now() - leaf.validFromDate.getTime()).toBeLessThan(HOUR_MS + 60_000)
      expect(leaf.validToDate.getTime() - Date.now()).toBeLessThanOrEqual(24 * HOUR_MS)
    }
    expect(new Set([ca, ...leaves.map(({ leaf }) => leaf)].map(({ serialNumber }) => serialNumber)).size).toBe(4)
  })

  test.skipIf(!hasTool('openssl'))('is read by openssl x509 the same way, as is the authority', async () => {
    const text = (pem: string) =>
      execFileSync(pathOf('openssl'), ['x509', '-noout', '-text'], { input: pem, encoding: 'utf8' })
    const leaf = text(certificateOf(await secured('api.crm.test')).toString())
    expect(leaf).toMatch(/X509v3 Subject Alternative Name:[^\n]*\n\s+DNS:api\.crm\.test\n/)
    expect(leaf).toMatch(/X509v3 Extended Key Usage:[^\n]*\n\s+TLS Web Server Authentication\n/)
    expect(leaf).toMatch(/X509v3 Basic Constraints: critical\n\s+CA:FALSE\n/)
    const ca = text(ourCa())
    expect(ca).toMatch(/X509v3 Basic Constraints: critical\n\s+CA:TRUE, pathlen:0\n/)
    expect(ca).toMatch(/X509v3 Key Usage: critical\n\s+Certificate Sign\n/)
    const [constraints = ''] =
      /X509v3 Name Constraints: critical\n[\s\S]*?(?=\n {12}X509v3|\n {4}Signature)/.exec(ca) ?? []
    expect(constraints.match(/DNS:[\w.-]+/g)?.toSorted()).toEqual(
      ['api.crm.test', 'curious.test', 'impostor.test', 'wild.test'].map((host) => `DNS:${host}`),
    )
  })

  test('is the same for a while, and another one for another host', async () => {
    const fingerprints = await Promise.all(
      ['a.wild.test', 'a.wild.test', 'b.wild.test'].map(
        async (host) => certificateOf(await secured(host)).fingerprint256,
      ),
    )
    expect(fingerprints[0]).toBe(fingerprints[1])
    expect(fingerprints[0]).not.toBe(fingerprints[2])
  })

  test('F16: is there for the longest name there is', async () => {
    expect(LONGEST).toHaveLength(253)
    expect(certificateOf(await secured(LONGEST)).subjectAltName).toBe(`DNS:${LONGEST}`)
  })
})

async function metric(name: string): Promise<number> {
  const { text } = await askAdmin(running, '/metrics')
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
}

/** How long honest requests take while something else is going on, in ms. */
async function probing(work: Promise<unknown>): Promise<number[]> {
  const state = { isOver: false }
  void work.finally(() => (state.isOver = true))
  const took: number[] = []
  while (!state.isOver) {
    const before = performance.now()
    const request = `GET http://api.crm.test/probe HTTP/1.1\r\nHost: api.crm.test\r\n${PROOF}\r\n`
    const { status } = await sendRaw(doorOf(running, 'forward'), request, { until: WHOLE_ANSWER })
    expect(status).toBe(200)
    took.push(performance.now() - before)
  }
  await work
  return took
}

const middleOf = (times: readonly number[]) => times.toSorted((a, b) => a - b)[times.length >> 1] ?? 0

test('F09: five hundred names at a time hold up nobody, and no more of them are kept', async () => {
  const name = (at: number) => `n${at}.wild.test`
  /** Closed again: what names take is to be measured, and not what open tunnels take. */
  const serialOf = async (at: number) => {
    const socket = await secured(name(at))
    const { serialNumber } = certificateOf(socket)
    socket.destroy()
    return serialNumber
  }
  /** Twenty at a time, each with a handshake of its own. */
  const burst = (names: readonly number[]) => {
    const left = names.values()
    const worker = async () => {
      for (const at of left) await serialOf(at)
    }
    return Promise.all(Array.from({ length: 20 }, worker))
  }
  const first = await serialOf(0)
  const lag = () => metric('nodejs_eventloop_lag_p90_seconds')
  await lag()
  const before = await metric('process_resident_memory_bytes')
  const took = await probing(burst(Array.from({ length: 500 }, (_, at) => at + 1)))
  const newLag = await lag()
  const grown = (await metric('process_resident_memory_bytes')) - before
  // What the machine is otherwise doing holds up others, too: so it is compared with as many handshakes for a name that is
  // known. They come afterwards, for they take memory as well. test/ca has the bound of the work itself.
  const usual = middleOf(await probing(burst(Array<number>(500).fill(500))))
  const usualLag = await lag()
  process.stdout.write(
    `five hundred new names: lag ${newLag} s, then ${usualLag}, ${middleOf(took)} ms a request, then ${usual}, ${grown >> 20} MiB\n`,
  )
  expect(newLag).toBeLessThan(0.1 + 3 * usualLag)
  expect(middleOf(took)).toBeLessThan(250 + 2 * usual)
  expect(grown).toBeLessThan(96 * 1024 * 1024)
  const last = await serialOf(500)
  expect(await serialOf(500)).toBe(last)
  expect(await serialOf(0)).not.toBe(first)
})

describe('F14: of the protocols that a client offers', () => {
  test.each([
    ['HTTP/2 before HTTP/1.1', ['h2', 'http/1.1'], 'h2'],
    ['HTTP/1.1 before HTTP/2', ['http/1.1', 'h2'], 'h2'],
    ['HTTP/2 alone', ['h2'], 'h2'],
    ['HTTP/1.1 alone', ['http/1.1'], 'http/1.1'],
    ['none', undefined, false],
  ])('%s', async (_what, offered, chosen) => {
    const socket = await secured('api.crm.test', upstream.port, offered ? { ALPNProtocols: offered } : {})
    expect(socket.alpnProtocol).toBe(chosen)
    if (chosen !== 'h2') expect((await get(socket, 'api.crm.test')).text).toMatch(/^HTTP\/1\.1 200 /)
  })

  test('one that we do not speak is a clean alert', async () => {
    await expect(secured('api.crm.test', upstream.port, { ALPNProtocols: ['spdy/3'] })).rejects.toThrow(
      /no.application.protocol/i,
    )
  })
})

test.each(['TLSv1.2', 'TLSv1.3'] as const)('F02: %s is spoken with clients', async (version) => {
  const socket = await secured('api.crm.test', upstream.port, { minVersion: version, maxVersion: version })
  expect(socket.getProtocol()).toBe(version)
})

test('F02: TLS 1.1 is not', async () => {
  const old = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
  await expect(secured('api.crm.test', upstream.port, old)).rejects.toThrow(/alert protocol version/i)
})

test.each(['TLSv1.2', 'TLSv1.3'] as const)('F04 F15: no %s session of ours is resumed', async (version) => {
  const terms = { minVersion: version, maxVersion: version }
  const first = await secured('a.wild.test', upstream.port, terms)
  const session = new Promise<Buffer | undefined>((resolve) => first.once('session', resolve))
  await talk(first, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', /\}\n$/)
  const kept = first.getSession() ?? (await session)
  const second = await secured('a.wild.test', upstream.port, { ...terms, ...(kept && { session: kept }) })
  expect(second.isSessionReused()).toBe(false)
})

test('F15: an upstream that asks for a certificate is shown none, and each time it is a full handshake', async () => {
  for (const _time of [1, 2]) {
    const socket = await secured('curious.test', curious.port)
    expect((await get(socket, 'curious.test', curious.port)).text).toMatch(/^HTTP\/1\.1 200 /)
  }
  expect(curious.seen).toHaveLength(2)
  for (const { certificate, isResumed } of curious.seen) expect([certificate, isResumed]).toEqual([{}, false])
})

test('F01 F04: an upstream that proves to be another one is not told a byte, and the tunnel says so', async () => {
  const good = await secured('api.crm.test')
  expect((await get(good, 'api.crm.test')).text).toMatch(/^HTTP\/1\.1 200 /)
  const before = upstream.bytes().length
  const socket = await secured('impostor.test')
  const { text } = await get(socket, 'impostor.test')
  const [head = '', body = ''] = text.split('\r\n\r\n')
  expect(head).toMatch(/^HTTP\/1\.1 502 [\s\S]*\r\nProxy-Status: sallyport; error=tls_certificate_error/)
  expect(JSON.parse(body)).toMatchObject({ code: 'upstream-untrusted', status: 502 })
  expect(upstream.bytes()).toHaveLength(before)
})

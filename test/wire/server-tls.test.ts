import { once } from 'node:events'
import { createServer } from 'node:net'
import { type ConnectionOptions, connect, TLSSocket } from 'node:tls'
import { expect, onTestFinished, test } from 'vitest'
import type { ClientCertificate } from '../../src/core/certificate.ts'
import { Secret } from '../../src/core/secret.ts'
import { clientCertificateOf } from '../../src/wire/client-certificate.ts'
import { faultOfServerCertificate, ServerTls } from '../../src/wire/server-tls.ts'
import { ExtendedKeyUsage, makeOddRoot, makeSelfMade } from '../support/certificates.ts'

const HOUR_MS = 3_600_000
const doors = await makeOddRoot()
const clients = await makeOddRoot()
const own = await doors.issue({ dns: ['localhost'] })

/** The TLS of a door, from texts that a test may change. */
function serverTls() {
  const files = { certificate: own.cert, key: own.key, clientCa: clients.certPem }
  let version = 1
  const faults: string[] = []
  const tls = new ServerTls({
    certificate: () => files.certificate,
    key: { current: () => ({ secret: new Secret(files.key), version }) },
    clientCa: () => files.clientCa,
    now: Date.now,
    onFault: (message) => faults.push(message),
  })
  const changeKey = (key: string) => {
    files.key = key
    version += 1
  }
  return { tls, files, faults, changeKey }
}

/** What a server makes of a client's certificate, by a real handshake. */
async function shownTo(tls: ServerTls, options: ConnectionOptions): Promise<ClientCertificate | undefined> {
  const { promise, resolve } = Promise.withResolvers<ClientCertificate | undefined>()
  const server = createServer((raw) => {
    const secured = new TLSSocket(raw, {
      isServer: true,
      secureContext: tls.context(),
      requestCert: true,
      rejectUnauthorized: false,
    })
    secured.on('error', () => undefined)
    secured.once('secure', () => resolve(clientCertificateOf(secured, () => tls.anchors())))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number } // a TCP server has an address of this form
  const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', ca: doors.certPem, ...options })
  socket.on('error', () => undefined)
  onTestFinished(() => {
    socket.destroy()
    server.close()
  })
  return promise
}

test('without a certificate there is nothing to judge', async () => {
  expect(await shownTo(serverTls().tls, {})).toBeUndefined()
})

test('what came with a certificate is at hand, in whatever order it came', async () => {
  const one = await clients.under()
  const two = await one.under()
  const { cert, key } = await two.issue({ dns: ['a.test'] })
  const shown = await shownTo(serverTls().tls, { cert: cert + two.certPem + one.certPem, key })
  expect(shown?.leaf?.dnsNames).toEqual(['a.test'])
  expect(shown?.leaf && shown.others.length).toBe(2)
  expect(shown?.leaf && shown.faultAt(Date.now())).toBeUndefined()
})

test('OpenSSL has a say, too: what it did not accept at the handshake stays refused', async () => {
  const { tls, files } = serverTls()
  const other = await makeOddRoot()
  const { cert, key } = await other.issue({ dns: ['a.test'] })
  const shown = await shownTo(tls, { cert, key })
  expect(shown?.leaf && shown.faultAt(Date.now())).toBe('no authority that is trusted here has signed it')
  files.clientCa = other.certPem
  expect(shown?.leaf && shown.faultAt(Date.now())).toMatch(/^OpenSSL did not accept it: UNABLE_TO_/)
})

test('a door without clientCa vouches for nobody, and not by the public authorities either', async () => {
  const { cert, key } = await clients.issue({ dns: ['a.test'] })
  const tls = new ServerTls({
    certificate: () => own.cert,
    key: { current: () => ({ secret: new Secret(own.key), version: 1 }) },
    now: Date.now,
    onFault: () => undefined,
  })
  const shown = await shownTo(tls, { cert, key })
  expect(shown?.leaf && shown.faultAt(Date.now())).toBe('the door it came through has no clientCa')
})

test('a certificate that vouches for itself is good where clientCa lists it, by OpenSSL too', async () => {
  const { tls, files } = serverTls()
  const { cert, key } = await makeSelfMade({ dns: ['a.test'] })
  const before = await shownTo(tls, { cert, key })
  expect(before?.leaf && before.faultAt(Date.now())).toBe('no authority that is trusted here has signed it')
  files.clientCa = clients.certPem + cert
  const shown = await shownTo(tls, { cert, key })
  expect(shown?.leaf && shown.faultAt(Date.now())).toBeUndefined()
})

test('nothing is made anew while nothing changes, and a half pair is told once', async () => {
  const { tls, files, faults, changeKey } = serverTls()
  const [context, anchors] = [tls.context(), tls.anchors()]
  expect([tls.context(), tls.anchors()]).toEqual([context, anchors])
  const next = await doors.issue({ dns: ['localhost'] })
  files.certificate = next.cert
  for (let time = 0; time < 3; time++) expect(tls.context()).toBe(context)
  expect(faults).toEqual([
    'the key of a listener: use the key of this certificate: the two do not belong together. The certificate that was there before stays in use',
  ])
  changeKey(next.key)
  expect(tls.context()).not.toBe(context)
  expect(faults).toHaveLength(1)
})

test('a file may hold certificate and key, as SPIFFE Filesystem Delivery has it', async () => {
  const both = own.key + own.cert + doors.certPem
  expect(faultOfServerCertificate(both, new Secret(both), Date.now())).toBeUndefined()
})

test.each([
  ['expired', { until: Date.now() - HOUR_MS }, /^has expired on 20.*: renew it$/],
  ['to come', { from: Date.now() + HOUR_MS }, /^is good only from 20.* on: see that the clock is right$/],
  ['for clients', { purposes: [ExtendedKeyUsage.clientAuth] }, /^may not be shown by a server: use a certificate/],
])('a certificate that is %s is refused in words', async (_what, draft, words) => {
  const { cert, key } = await doors.issue(draft)
  expect(faultOfServerCertificate(cert, new Secret(key), Date.now())?.message).toMatch(words)
})

test('the words hold nothing of a key', async () => {
  for (const text of ['not a key', own.key.slice(0, 100), own.cert]) {
    const fault = faultOfServerCertificate(own.cert, new Secret(text), Date.now())
    expect(fault).toEqual({ of: 'key', message: expect.stringContaining('use a private key in PEM') })
    expect(fault?.message).not.toContain(text)
  }
})

import { once } from 'node:events'
import { createSecureContext, type SecureVersion, type TLSSocket } from 'node:tls'
import { expect, onTestFinished, test } from 'vitest'
import { Problem } from '../../src/core/problem.ts'
import { type Identity, makeAuthority, makeSelfSigned } from '../support/certificates.ts'
import { CLOSED_PORT } from '../support/ports.ts'
import { ExtendedKeyUsage, type Oddity } from './odd-certificates.ts'
import { authority, dial, expectProblem, listener, odd, tlsUpstream } from './upstreams.ts'

test('proves the name, and speaks TLS 1.2 or later and HTTP/1.1', async () => {
  const { port } = await tlsUpstream(await authority.issue(['api.test']), { ALPNProtocols: ['h2', 'http/1.1'] })
  const socket = (await dial({ host: 'api.test', port })) as TLSSocket
  expect(socket.authorized).toBe(true)
  expect(socket.alpnProtocol).toBe('http/1.1')
  expect(socket.getProtocol()).toBe('TLSv1.3')
  expect(socket.remoteAddress).toBe('127.0.0.1')
})

test('F03: an address is proved by an address in the certificate, never by a DNS name that looks like it', async () => {
  const good = await tlsUpstream(await authority.issue(['127.0.0.1']))
  const socket = await dial({ host: '127.0.0.1', port: good.port })
  expect(socket.remoteAddress).toBe('127.0.0.1')
  const bad = await tlsUpstream(await odd.issue('127.0.0.1', { names: ['127.0.0.1'] }))
  await expectProblem(dial({ host: '127.0.0.1', port: bad.port }), 'upstream-untrusted')
})

const F01: readonly (readonly [string, string, () => Promise<Identity>])[] = [
  ['expired', 'CERT_HAS_EXPIRED', () => authority.issue(['api.test'], { expired: true })],
  ['not yet valid', 'CERT_NOT_YET_VALID', oddly({ startsInMs: 3_600_000 })],
  ['self-signed', 'DEPTH_ZERO_SELF_SIGNED_CERT', () => makeSelfSigned(['api.test'])],
  [
    'of an unknown authority',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    async () => (await makeAuthority('Another')).issue(['api.test']),
  ],
  ['for another name', 'ERR_TLS_CERT_ALTNAME_INVALID', () => authority.issue(['evil.test'])],
  ['without any name but the common name', 'ERR_TLS_CERT_ALTNAME_INVALID', oddly({ names: [] })],
  [
    'for a wildcard right below a top-level name',
    'ERR_TLS_CERT_ALTNAME_INVALID',
    () => authority.issue(['*.test', '*.api.test', 'test']),
  ],
  ['signed with SHA-1', 'UNSPECIFIED', oddly({ hash: 'SHA-1' })],
  ['for clients', 'INVALID_PURPOSE', oddly({ usage: ExtendedKeyUsage.clientAuth })],
]

test.each(F01)('F01: a certificate %s is refused before any byte of the application: %s', async (_, code, issue) => {
  const { port, received } = await tlsUpstream(await issue())
  const reason = `api.test at 127.0.0.1: ${code}`
  await expect(dial({ host: 'api.test', port })).rejects.toMatchObject({ code: 'upstream-untrusted', reason })
  expect(received()).toBe(0)
})

test('F01: a wildcard stands for one label', async () => {
  const { port } = await tlsUpstream(await authority.issue(['*.b.test']))
  expect(await dial({ host: 'a.b.test', port })).toMatchObject({ authorized: true })
  await expectProblem(dial({ host: 'x.a.b.test', port }), 'upstream-untrusted')
  await expectProblem(dial({ host: 'b.test', port }), 'upstream-untrusted')
})

test('F01: without an oddity, a certificate of the same authority is accepted', async () => {
  const { port } = await tlsUpstream(await odd.issue('api.test', {}))
  expect(await dial({ host: 'api.test', port })).toMatchObject({ authorized: true })
})

test('F01: NODE_TLS_REJECT_UNAUTHORIZED=0 changes nothing', async () => {
  process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'
  onTestFinished(() => void delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'])
  const { port } = await tlsUpstream(await makeSelfSigned(['api.test']))
  await expectProblem(dial({ host: 'api.test', port }), 'upstream-untrusted')
})

test.each<SecureVersion>(['TLSv1', 'TLSv1.1'])('F02: an upstream that offers only %s is refused', async (version) => {
  const old = { minVersion: version, maxVersion: version, ciphers: 'ALL:@SECLEVEL=0' } as const
  const { port, received } = await tlsUpstream(await authority.issue(['api.test']), old)
  await expectProblem(dial({ host: 'api.test', port }), 'upstream-untrusted')
  const lax = createSecureContext({ ca: authority.certPem, minVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' })
  await expectProblem(dial({ host: 'api.test', port, tls: lax }), 'upstream-untrusted')
  expect(received()).toBe(0)
})

test('F04: what was proved for one name proves nothing for another at the same address', async () => {
  const { port } = await tlsUpstream(await authority.issue(['api.test']))
  const first = (await dial({ host: 'api.test', port })) as TLSSocket
  await once(first, 'session')
  await expectProblem(dial({ host: 'b.test', port }), 'upstream-untrusted')
  const again = (await dial({ host: 'api.test', port })) as TLSSocket
  expect(again.isSessionReused()).toBe(false)
})

test('F16: the longest name there is does not throw', async () => {
  const host = `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(61)}`
  const { port } = await tlsUpstream(await authority.issue(['api.test']))
  await expectProblem(dial({ host, port }), 'upstream-untrusted')
})

test('an upstream that does not speak TLS is untrusted', async () => {
  const { port } = await listener('127.0.0.1', 0, (socket) => socket.write('220 mail.test ESMTP\r\n'))
  const reason = expect.stringMatching(
    /^api\.test at 127\.0\.0\.1: what answers does not speak TLS \(ERR_SSL_WRONG_VERSION_NUMBER\): correct the port, /,
  )
  await expect(dial({ host: 'api.test', port })).rejects.toMatchObject({ code: 'upstream-untrusted', reason })
})

test('an upstream that refuses, or breaks off the handshake, is unreachable', async () => {
  const { port } = await listener('127.0.0.1', 0, (socket) => socket.resetAndDestroy())
  await expectProblem(dial({ host: 'api.test', port }), 'upstream-unreachable')
  await expectProblem(dial({ host: 'api.test', port: CLOSED_PORT, tls: 'plaintext' }), 'upstream-unreachable')
})

test('reasons name the host and the address, and nothing that the peer sent', async () => {
  const { port } = await tlsUpstream(await authority.issue(['marker-of-the-peer.test']))
  const problem = await dial({ host: 'api.test', port }).catch((error: unknown) => error)
  expect(problem).toBeInstanceOf(Problem)
  expect(problem).toMatchObject({ reason: 'api.test at 127.0.0.1: ERR_TLS_CERT_ALTNAME_INVALID' })
  expect(JSON.stringify(problem) + String((problem as Problem).cause)).not.toContain('marker-of-the-peer')
})

function oddly(oddity: Oddity): () => Promise<Identity> {
  return () => odd.issue('api.test', oddity)
}

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type SecureContext } from 'node:tls'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { holdsCertificate, trustOf } from '../../src/wire/trust.ts'
import { type Authority, makeAuthority } from '../support/certificates.ts'

let authority: Authority
let server: ReturnType<typeof createServer>

beforeAll(async () => {
  authority = await makeAuthority()
  server = createServer(await authority.issue(['login.test']), (socket) => socket.end())
  server.on('tlsClientError', () => undefined)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})

afterAll(() => {
  server.close()
})

async function verdict(secureContext: SecureContext): Promise<string> {
  const { port } = server.address() as AddressInfo // a TCP server has an address of this form
  const socket = connect({ host: '127.0.0.1', port, servername: 'login.test', secureContext })
  try {
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(5_000) })
    return 'trusted'
  } catch (error) {
    return String((error as { code?: unknown }).code) // TLS errors have a code
  } finally {
    socket.destroy()
  }
}

test('trusts the authority of the file', async () => {
  expect(await verdict(trustOf(authority.certPem))).toBe('trusted')
})

test('trusts nobody but the authorities of the file', async () => {
  const other = await makeAuthority('another authority')
  expect(await verdict(trustOf(other.certPem))).toBe('UNABLE_TO_VERIFY_LEAF_SIGNATURE')
})

test('takes a bundle with remarks between the certificates', async () => {
  const other = await makeAuthority('another authority')
  expect(await verdict(trustOf(`# ours\n${other.certPem}\n# theirs\n${authority.certPem}\n`))).toBe('trusted')
})

test('trusts the public authorities without a file, and these are read once', async () => {
  expect(await verdict(trustOf())).toBe('UNABLE_TO_VERIFY_LEAF_SIGNATURE')
  expect(trustOf()).toBe(trustOf())
})

test.each([
  ['an empty file', ''],
  ['a file of something else', 'garbage'],
  ['a private key', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n'],
])('refuses %s instead of falling back to somebody else', (_what, pem) => {
  expect(() => trustOf(pem)).toThrow('holds no PEM certificate')
})

test('says which certificate cannot be read', () => {
  const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'
  expect(() => trustOf(authority.certPem + broken)).toThrow('certificate 2 in the file')
})

test('a certificate is found among others, and beside what cannot be read', async () => {
  const other = await makeAuthority('another authority')
  const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'
  expect(holdsCertificate(broken + other.certPem + authority.certPem, authority.certPem)).toBe(true)
  expect(holdsCertificate(broken + other.certPem, authority.certPem)).toBe(false)
})

import { hash, X509Certificate } from 'node:crypto'
import { expect, test } from 'vitest'
import { Secret } from '../../src/core/secret.ts'
import { faultOfClientCertificates, LiveIdentity } from '../../src/wire/client-identity.ts'
import { ExtendedKeyUsage, makeOddRoot } from '../support/certificates.ts'

const root = await makeOddRoot()
const one = await root.issue({ dns: ['one.test'] })
const other = await root.issue({ dns: ['other.test'] })

function live({ cert, key }: { readonly cert: string; readonly key: string }) {
  const files = { cert, key: new Secret(key), version: 1 }
  const identity = new LiveIdentity({
    certificate: () => files.cert,
    key: { current: () => ({ secret: files.key, version: files.version }) },
  })
  const changeKey = (text: string) => {
    files.key = new Secret(text)
    files.version += 1
  }
  return { identity, files, changeKey }
}

test('is one object until it changes, with the thumbprint of RFC 8705', () => {
  const { identity } = live(one)
  const found = identity.current()
  expect(identity.current()).toBe(found)
  expect(found.thumbprint).toBe(hash('sha256', new X509Certificate(one.cert).raw, 'base64url'))
})

test.each(['certificate first', 'key first'])('keeps the pair before until both are there: %s', (order) => {
  const { identity, files, changeKey } = live(one)
  const before = identity.current()
  const version = identity.version()
  const steps = [() => void (files.cert = other.cert), () => changeKey(other.key)]
  const [first, second] = order === 'key first' ? steps.toReversed() : steps
  first?.()
  expect(identity.current()).toBe(before)
  expect(identity.version()).toBe(version)
  second?.()
  expect(identity.current().certificate).toBe(other.cert)
  expect(identity.version()).toBeGreaterThan(version)
})

test('what never belonged together is an error in words, until it does', () => {
  const { identity, changeKey } = live({ cert: one.cert, key: other.key })
  expect(() => identity.current()).toThrow(/the key of the client: use the key of this certificate/)
  const version = identity.version()
  changeKey(one.key)
  expect(identity.current().certificate).toBe(one.cert)
  expect(identity.version()).toBeGreaterThan(version)
})

test('a certificate for servers alone is no client’s', async () => {
  const server = await root.issue({ purposes: [ExtendedKeyUsage.serverAuth] })
  expect(faultOfClientCertificates(server.cert)).toMatch(/use a certificate with the extended key usage clientAuth/)
  expect(faultOfClientCertificates(one.cert)).toBeUndefined()
  expect(faultOfClientCertificates('nothing')).toMatch(/holds no certificate/)
})

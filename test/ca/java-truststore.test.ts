import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { bundleWith } from '../../src/ca/bundle.ts'
import { javaTruststore } from '../../src/ca/java-truststore.ts'
import { certificatesIn } from '../../src/ca/pem.ts'
import { makeAuthority } from '../support/certificates.ts'
import { hasTool } from '../support/debian.ts'
import { privateDirectory, remove } from '../support/sallyport.ts'

test('the same bundle gives the same bytes, and another one others', async () => {
  const [one, other] = [(await makeAuthority()).certPem, (await makeAuthority()).certPem]
  expect(javaTruststore(one)).toEqual(javaTruststore(one))
  expect(javaTruststore(one)).not.toEqual(javaTruststore(other))
})

test.skipIf(!hasTool('java'))('Java finds every certificate of a bundle in it, and the digest right', async () => {
  const bundle = await bundleWith((await makeAuthority()).certPem)
  const listed = keytool(javaTruststore(bundle), 'changeit')
  expect(listed).toContain(`contains ${certificatesIn(bundle).length} entries`)
  expect(listed.match(/trustedCertEntry/g)).toHaveLength(certificatesIn(bundle).length)
})

test.skipIf(!hasTool('java'))('Java refuses it when a byte has changed', async () => {
  const store = javaTruststore((await makeAuthority()).certPem)
  store.writeUInt8(store.readUInt8(100) ^ 1, 100)
  expect(() => keytool(store, 'changeit')).toThrow('Command failed')
})

function keytool(store: Buffer, password: string): string {
  const directory = privateDirectory()
  onTestFinished(() => remove(directory))
  const file = join(directory, 'trust.jks')
  writeFileSync(file, store)
  const args = ['-list', '-keystore', file, '-storetype', 'JKS', '-storepass', password]
  return execFileSync('keytool', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

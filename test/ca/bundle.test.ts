import { X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { bundleWith } from '../../src/ca/bundle.ts'
import { certificatesIn } from '../../src/ca/pem.ts'
import { makeAuthority } from '../support/certificates.ts'
import { privateDirectory, remove, writeSecret } from '../support/sallyport.ts'

test('holds the roots of the machine, and ours', async () => {
  const { certPem } = await makeAuthority()
  const blocks = certificatesIn(await bundleWith(certPem))
  expect(blocks.length).toBeGreaterThan(50)
  expect(blocks.at(-1)).toBe(certPem.trim())
  for (const block of blocks) expect(new X509Certificate(block).raw.length).toBeGreaterThan(0)
})

test('takes another file as its base, without the comments in it and without doubles', async () => {
  const [base, ours] = [(await makeAuthority('Base')).certPem, (await makeAuthority()).certPem]
  const file = baseFile(`# the base\n${base}\n${base}\n${ours}`)
  expect(await bundleWith(ours, file)).toBe(`${base.trim()}\n${ours.trim()}\n`)
})

test.each([
  ['is empty', '', 'holds no PEM certificate'],
  ['holds what is no certificate', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----', 'certificate 1 in'],
])('refuses a base that %s', async (_, text, message) => {
  await expect(bundleWith((await makeAuthority()).certPem, baseFile(text))).rejects.toThrow(message)
})

test('refuses a base that is not there', async () => {
  await expect(bundleWith('', '/nonexistent/roots.pem')).rejects.toThrow('cannot be read (ENOENT): name a PEM file')
})

function baseFile(text: string): string {
  const directory = privateDirectory()
  onTestFinished(() => remove(directory))
  writeSecret(directory, 'base.pem', text)
  return join(directory, 'base.pem')
}

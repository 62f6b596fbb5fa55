import { spawnSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { expect, test } from 'vitest'
import { foundRoot } from '../../src/ca/root.ts'
import { issuerOf, newKeys, sign } from '../../src/ca/x509.ts'

test('the key of an issuer cannot be read out again', async () => {
  const { privateKey } = await issuerOf(await foundRoot({ hosts: [], now: Date.now }))
  expect(privateKey.extractable).toBe(false)
})

test('an issuer is named as its own certificate names it, byte for byte', async () => {
  const root = await foundRoot({ hosts: ['api.test'], now: Date.now })
  const leaf = await sign(
    { keys: await newKeys(), from: Date.now() - 1_000, until: Date.now() + 60_000, use: { hosts: ['api.test'] } },
    await issuerOf(root),
  )
  const authority = new X509Certificate(root.cert)
  expect(new X509Certificate(leaf).checkIssued(authority)).toBe(true)
  // The common name: OID 2.5.4.3 with its text.
  const name = authority.raw.subarray(authority.raw.indexOf(Buffer.from('0603550403', 'hex'))).subarray(0, 34)
  expect(new X509Certificate(leaf).raw.includes(name)).toBe(true)
})

test('a process that makes no certificate does not load the library', () => {
  const room = new URL('../../src/ca/directory.ts', import.meta.url).href
  // reflect-metadata leaves its mark on a global.
  const script = `await import('${room}'); console.log('metadata' in Reflect)`
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' })
  expect(stdout).toBe('false\n')
})

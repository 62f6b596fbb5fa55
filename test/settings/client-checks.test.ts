import { generateKeyPairSync } from 'node:crypto'
import { chmod, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { loadSettings } from '../../src/settings/load.ts'
import { openReferences } from '../../src/settings/open.ts'
import { makeOddRoot } from '../support/certificates.ts'
import { makeRsaIdentity } from '../support/rsa-identity.ts'
import { refusalOf, settingsFile } from '../support/settings-file.ts'

const root = await makeOddRoot()
const client = await root.issue({ dns: ['app.test'] })
const other = await root.issue({ dns: ['app.test'] })
const rsa = await makeRsaIdentity()
const short = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({ type: 'pkcs8', format: 'pem' })

/** What is wrong once everything is open that one connection refers to. */
async function faultsOnceOpen(connection: object, files: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const connections = { crm: { hosts: ['api.test'], ...connection } }
  const listeners = [{ kind: 'forward', listen: '127.0.0.1:0' }]
  const file = await settingsFile(JSON.stringify({ listeners, connections }, undefined, 1))
  for (const [name, text] of Object.entries(files)) {
    const path = join(dirname(file), name)
    await writeFile(path, text)
    await chmod(path, 0o600)
  }
  const opening = loadSettings(file).then((loaded) => openReferences(loaded, () => undefined))
  const lines = await refusalOf(opening.then((references) => references.close()))
  return lines.map((line) => line.replace(/^\S+ connections\.crm\./, ''))
}

const oauth = (clientAuth: object) => ({
  credential: { kind: 'client-credentials', tokenEndpoint: 'https://login.test/token', clientId: 'me', clientAuth },
})
const signed = (more: object = {}) => oauth({ kind: 'private-key-jwt', key: { file: 'key' }, ...more })
const pair = { certificate: { file: 'cert' }, key: { file: 'key' } }
const bound = oauth({ kind: 'mtls', ...pair })
const entra = { credential: { kind: 'entra', tenant: 't', clientId: 'c', scope: 'api://a/.default', ...pair } }
const upstream = { credential: { kind: 'none' }, tls: pair }

test.each<[string, object, Readonly<Record<string, string>>, RegExp]>([
  ['a key that is none', signed(), { key: 'x' }, /^credential\.clientAuth\.key: .*use a private key in PEM/],
  ['a short key', signed(), { key: short }, /^credential\.clientAuth\.key: .*2048 bits or more/],
  ['a key that does not fit', signed({ alg: 'RS256' }), { key: client.key }, /clientAuth\.key: .*one that fits RS256/],
  ['a pair that is none', bound, { cert: client.cert, key: other.key }, /clientAuth\.key: use the key of this/],
  [
    'no certificate',
    bound,
    { cert: 'x', key: other.key },
    /^credential\.clientAuth\.certificate: .*holds no certificate/,
  ],
  ['an EC key at Entra', entra, { cert: client.cert, key: client.key }, /^credential\.key: .*one that fits PS256/],
  ['another key at Entra', entra, { cert: client.cert, key: rsa.key }, /^credential\.key: use the key of this/],
  ['another key for the upstream', upstream, { cert: client.cert, key: other.key }, /^tls\.key: use the key of this/],
])('refuses %s', async (_what, connection, files, words) => {
  expect(await faultsOnceOpen(connection, files)).toEqual([expect.stringMatching(words)])
})

test.each<[string, object, Readonly<Record<string, string>>]>([
  ['a key', signed(), { key: client.key }],
  ['a pair', bound, { cert: client.cert, key: client.key }],
  ['an RSA pair at Entra', entra, { cert: rsa.cert, key: rsa.key }],
  ['a pair for the upstream', upstream, { cert: client.cert, key: client.key }],
])('takes %s', async (_what, connection, files) => {
  expect(await faultsOnceOpen(connection, files)).toEqual([])
})

test('no certificate is shown where there is no TLS of ours', async () => {
  const plain = { ...upstream, unsafeAllowPlaintextUpstream: true }
  const files = { cert: client.cert, key: client.key }
  expect(await faultsOnceOpen(plain, files)).toEqual([expect.stringMatching(/^tls\.certificate: leave it out/)])
})

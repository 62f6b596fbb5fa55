import { X509Certificate } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { authority } from '../stories/crm.ts'
import { makeAuthority } from '../support/certificates.ts'
import { writeSecret } from '../support/sallyport.ts'
import { type RawUpstream, startUpstream } from '../support/upstream.ts'
import { fileOf, type Place, placeFor, runWith, startScript } from './running.ts'

let upstream: RawUpstream

beforeAll(async () => {
  upstream = await startUpstream()
})

afterAll(() => upstream.close())

async function printed(place: Place, script: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
  return (await runWith(place, ['sh', '-c', script], env)).stdout
}

const certificatesIn = (pem: string): readonly string[] =>
  pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []

test('others may read the certificates, and only the user what is of the user', async () => {
  const script = 'umask 0; cd "${SSL_CERT_FILE%/*}" && stat -c "%a %n" . *'
  expect(await printed(placeFor(upstream.port), `umask 077; ${script}`)).toBe(
    '755 .\n600 apt.conf\n644 bundle.pem\n644 truststore.jks\n600 wgetrc\n',
  )
})

test('the bundle has one authority more than the usual ones, and it is new each time', async () => {
  const place = placeFor(upstream.port)
  const one = certificatesIn(await printed(place, 'cat "$SSL_CERT_FILE"'))
  const other = certificatesIn(await printed(place, 'cat "$SSL_CERT_FILE"'))
  expect(one.length).toBeGreaterThan(rootCertificates.length / 2)
  expect(one.filter((pem) => !other.includes(pem))).toHaveLength(1)
})

test('an authority that the user trusts already stays trusted', async () => {
  const place = placeFor(upstream.port)
  const more = await makeAuthority()
  const env = { REQUESTS_CA_BUNDLE: fileOf(place, 'ca.pem'), NODE_EXTRA_CA_CERTS: fileOf(place, 'more.pem') }
  writeSecret(place.directory, 'more.pem', more.certPem)
  const bundle = certificatesIn(await printed(place, 'cat "$CURL_CA_BUNDLE"', env))
  const prints = bundle.map((pem) => new X509Certificate(pem).fingerprint256)
  expect(prints).toHaveLength(3)
  for (const { certPem } of [authority, more]) expect(prints).toContain(new X509Certificate(certPem).fingerprint256)
})

test('wget and apt keep the settings of the user, and have the bundle', async () => {
  const place = placeFor(upstream.port)
  writeSecret(place.directory, '.wgetrc', 'tries = 3')
  const env = { HOME: place.directory, APT_CONFIG: writeSecret(place.directory, 'apt', 'Acquire::Retries "5";') }
  const script =
    'echo "$SSL_CERT_FILE"; cat "$WGETRC"; apt-config dump | grep -i "^Acquire::\\(Retries\\|https::CaInfo\\)"'
  const [bundle, ...lines] = (await printed(place, script, env)).trimEnd().split('\n')
  expect(lines.filter(Boolean).sort()).toEqual(
    ['tries = 3', `ca_certificate = ${bundle}`, 'Acquire::Retries "5";', `Acquire::https::CaInfo "${bundle}";`].sort(),
  )
})

test('what a killed run left behind is swept up by the next one, and what is in use or of others is not', async () => {
  const place = placeFor(upstream.port)
  const killed = startScript(place, 'echo ready; read line')
  await killed.said('ready')
  const [left = '', ...none] = place.left()
  expect(none).toEqual([])
  expect(left).toMatch(new RegExp(`^sallyport-run-\\d+-${killed.process.pid}-\\d+-\\w{6}$`))
  // As of a container that has this directory too, and of who knows whom.
  const elsewhere = left.replace(/^sallyport-run-\d+/, 'sallyport-run-1')
  for (const name of [elsewhere, 'sallyport-run-abcdef']) mkdirSync(join(place.temporary, name))
  expect(await printed(place, 'ls "$TMPDIR"')).toContain(left)
  killed.process.kill('SIGKILL')
  await killed.ended()
  // Its child has lost its way out, and goes on until it is told to end.
  const seen = await printed(place, 'ls "$TMPDIR"')
  expect(seen).not.toContain(left)
  expect(seen).toContain(elsewhere)
  expect(place.left().toSorted((one, other) => one.localeCompare(other))).toEqual([elsewhere, 'sallyport-run-abcdef'])
})

test('Java opens the truststore', async () => {
  const script =
    'keytool -list -keystore "${SSL_CERT_FILE%/*}/truststore.jks" -storepass changeit 2>&1 | grep -c trustedCertEntry'
  expect(Number(await printed(placeFor(upstream.port), script))).toBeGreaterThan(rootCertificates.length / 2)
})

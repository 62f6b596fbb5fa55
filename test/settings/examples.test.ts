import { generateKeyPairSync } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { sourceKinds } from '../../src/credentials/registry.ts'
import { FileReference } from '../../src/forms/network.ts'
import { SecretReference } from '../../src/secrets/reference.ts'
import { loadSettings } from '../../src/settings/load.ts'
import { openReferences, referencesIn } from '../../src/settings/open.ts'
import type { Settings } from '../../src/settings/schema.ts'
import type { Identity } from '../support/certificates.ts'
import { makeRsaIdentity } from '../support/rsa-identity.ts'

const EXAMPLES = new URL('../../config/examples/', import.meta.url).pathname
const names = readdirSync(EXAMPLES).filter((name) => name.endsWith('.yaml'))

let directory: string
/** Of everything that is a certificate, or a key. */
let identity: Identity
/** What signs by RS256. */
const rsaKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' })

const ACCOUNT = JSON.stringify({
  type: 'service_account',
  private_key_id: 'k-1',
  private_key: rsaKey,
  client_email: 'robot@project.iam.gserviceaccount.com',
  token_uri: 'https://oauth2.googleapis.com/token',
})

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'sallyport-examples-'))
  identity = await makeRsaIdentity()
  vi.stubEnv('CREDENTIALS_DIRECTORY', directory)
  vi.stubEnv('PATH', `${join(directory, 'bin')}:${process.env['PATH']}`)
})

afterAll(() => {
  vi.unstubAllEnvs()
  rmSync(directory, { recursive: true, force: true })
})

test.each(names)('examples/%s is right, nothing in it is doubtful, and it opens', async (name) => {
  const text = readFileSync(join(EXAMPLES, name), 'utf8')
  const file = put(name, text)
  const loaded = await loadSettings(file)
  expect(loaded.warnings).toEqual([])
  furnish(loaded.settings)
  const faults: string[] = []
  const references = await openReferences(loaded, (fault) => faults.push(fault))
  references.close()
  expect(faults).toEqual([])
})

test.each(names.filter((name) => Object.hasOwn(sourceKinds, name.slice(0, -'.yaml'.length))))(
  'examples/%s shows the source that it is called after',
  async (name) => {
    const { settings } = await loadSettings(join(EXAMPLES, name))
    const kinds = Object.values(settings.connections).map(({ credential }) => credential.kind)
    expect(kinds).toContain(name.slice(0, -'.yaml'.length))
  },
)

/** Everything that the settings refer to, in a form that opens. */
function furnish(settings: Settings): void {
  for (const { path, reference } of referencesIn(settings)) {
    if (reference instanceof FileReference) put(reference.file, identity.cert)
    else if (path.at(-1) === 'serviceAccount') put(String(reference.settings['file']), ACCOUNT)
    else if (path.at(-1) === 'key' && signsByRsa(settings, path[1])) put(String(reference.settings['file']), rsaKey)
    else if (path.at(-1) === 'key' && path[0] === 'connections') put(String(reference.settings['file']), identity.key)
    else if (reference instanceof SecretReference && 'file' in reference.settings)
      put(String(reference.settings['file']), 'a secret of an example')
    else if ('systemd' in reference.settings) put(String(reference.settings['systemd']), 'a secret of an example')
    else if ('env' in reference.settings) vi.stubEnv(String(reference.settings['env']), 'a secret of an example')
  }
  for (const { credential } of Object.values(settings.connections))
    if (credential.kind === 'exec') {
      chmodSync(put(join('bin', credential.command[0] ?? ''), ''), 0o700)
      for (const name of credential.env) vi.stubEnv(name, 'a value')
    }
}

/** Whether the key of a connection signs by RS256; others belong to a certificate. */
function signsByRsa({ connections }: Settings, name: PropertyKey | undefined): boolean {
  return ['signed-jwt', 'github-app', 'jwt-bearer'].includes(connections[String(name)]?.credential.kind ?? '')
}

function put(name: string, text: string): string {
  const file = join(directory, name)
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  writeFileSync(file, text, { mode: 0o600 })
  return file
}

test('the reference leads to every one of them', () => {
  const reference = readFileSync(join(EXAMPLES, '../README.md'), 'utf8')
  for (const name of names) expect(reference).toContain(`](examples/${name})`)
})

import { generateKeyPairSync } from 'node:crypto'
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import {
  buildClientProof,
  clientAuthKinds,
  clientAuthSettings,
  showsSecret,
} from '../../src/oauth/client-auth/registry.ts'
import { slotsOf } from '../../src/oauth/client-secret.ts'
import { makeAuthority } from '../support/certificates.ts'
import { makeSourceTools, theSecret } from '../support/source-tools.ts'
import { describeKinds } from './kinds.ts'

const reference = { file: 'secrets/crm' }
const key = () => generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' })
const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
const jwt = () => `${part({ alg: 'RS256' })}.${part({ sub: 'x', jti: Math.random() })}.Q0FOQVJZ`

const authority = await makeAuthority()
const identities = [await authority.issue(['a.test']), await authority.issue(['b.test'])]
/** The certificate that the file holds just now: the one that goes with the key that was made last. */
let certificate = ''
const certified = () => {
  const { cert, key: own } = identities[certificate === identities[0]?.cert ? 1 : 0] ?? { cert: '', key: '' }
  certificate = cert
  return own
}

/** For each way, the least that settings have to say, and a secret that it can be done with. */
const ways = {
  header: { settings: {}, secret: () => 'LT_CANARY' },
  body: { settings: {}, secret: () => 'LT_CANARY' },
  'header-and-body': { settings: {}, secret: () => 'LT_CANARY' },
  none: { settings: {}, secret: () => '' },
  'private-key-jwt': { settings: { key: reference }, secret: key },
  'workload-jwt': { settings: { token: reference }, secret: jwt },
  mtls: { settings: { key: reference, certificate: { file: 'client.pem' } }, secret: certified },
} as const satisfies Record<keyof typeof clientAuthKinds, { settings: object; secret: () => string }>

// Object.keys and Object.fromEntries have forgotten the names of the keys.
type Way = keyof typeof ways
const settingsOf = Object.fromEntries(Object.entries(ways).map(([kind, { settings }]) => [kind, settings])) as Record<
  Way,
  object
>

describeKinds('client authentication', clientAuthKinds, settingsOf)

const SERVER = { issuer: 'https://login.test', token_endpoint: 'https://login.test/token' }

describe.each(Object.keys(ways) as Way[])('client authentication by %s', (kind) => {
  function build() {
    const secret = ways[kind].secret()
    const made = makeSourceTools({ secret })
    const settings = clientAuthSettings.parse({ kind, ...settingsOf[kind] })
    const clientSecret = showsSecret(settings) ? slotsOf(theSecret, made.tools) : undefined
    const tools = {
      ...made.tools,
      file: () => certificate,
      clientId: 'my-app',
      basicEncoding: 'rfc6749' as const,
      clientSecret,
    }
    return { ...made, secret, proof: buildClientProof(settings, tools) }
  }

  test('names the client, once, in each request', async () => {
    const { proof } = build()
    for (const { authenticate } of await proof.presentations(SERVER)) {
      const body = new URLSearchParams({ grant_type: 'client_credentials' })
      const headers = new Headers()
      await authenticate(SERVER, { client_id: 'my-app' }, body, headers)
      const basic = Buffer.from(headers.get('authorization')?.slice('Basic '.length) ?? '', 'base64').toString()
      expect([...body.getAll('client_id'), basic.split(':')[0]]).toContain('my-app')
      expect(body.getAll('client_id').length).toBeLessThan(2)
      expect(body.getAll('grant_type')).toEqual(['client_credentials'])
    }
  })

  test('has another version once what is behind it has changed', () => {
    const { proof, rotate } = build()
    const before = proof.version()
    rotate(ways[kind].secret())
    if (kind === 'none') expect(proof.version()).toBe(before)
    else expect(proof.version()).toBeGreaterThan(before)
  })

  test('says what long-lived secret it is made with', async () => {
    const { proof } = build()
    const [first] = await proof.presentations(SERVER)
    if (kind === 'none') expect(first?.behind).toBeUndefined()
    else expect(first?.behind?.name).toMatch(/^(file:secrets\/crm|kind:test)$/)
  })

  test('prints nothing of it', async () => {
    const { proof, secret } = build()
    const all = [proof, await proof.presentations(SERVER)]
    const shown = inspect(all, { depth: 20, showHidden: true }) + JSON.stringify(all)
    for (const line of secret.split('\n').filter((one) => one.length > 8)) expect(shown).not.toContain(line)
  })
})

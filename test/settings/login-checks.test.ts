import { expect, test } from 'vitest'
import { faultsOf } from '../support/settings-file.ts'

const CREDENTIAL = `kind: authorization-code, issuer: "https://login.example.com", clientId: a, clientAuth: none`
const STORE = 'store: { kind: sqlite, path: s.db, key: { env: K } }'
const OPS = 'operators: { ops: { role: admin, proof: { kind: api-key, key: { env: O } } } }'
const ADMIN = `admin: { listen: "127.0.0.1:15090", ${OPS} }`

function settings(credential: string, ...lines: readonly string[]): string {
  return ['listeners: [{ kind: forward, listen: "127.0.0.1:0" }]', 'allowlist: [a.test]', ...lines, 'connections:']
    .concat(`  crm: { hosts: [a.test], credential: { ${credential} } }`)
    .join('\n')
}

const JWT = (issuer: string) => `{ kind: jwt, issuer: "${issuer}", audience: s, claims: { sub: "*" }, name: "x/{sub}" }`

test.each<[string, string, RegExp]>([
  ['no store', settings(CREDENTIAL, ADMIN), /credential: add store: "store: \{ kind: sqlite/],
  [
    'no store for the other kind',
    settings(`${CREDENTIAL.replace('authorization-code', 'refresh-token')}, refreshToken: { env: R }`),
    /add store/,
  ],
  [
    'no key',
    settings(CREDENTIAL, ADMIN, 'store: { kind: sqlite, path: s.db }'),
    /credential: add "key: \{ file: KEY \}" to "store"/,
  ],
  ['no admin', settings(CREDENTIAL, STORE), /credential: add "admin: \{ listen/],
  [
    'an admin that no browser reaches',
    settings(CREDENTIAL, STORE, 'admin: { listen: "unix:a.sock" }'),
    /credential: add "url" to "admin"/,
  ],
  [
    'nobody who could begin one for all',
    settings(CREDENTIAL, STORE, 'admin: { listen: "127.0.0.1:15090" }'),
    /credential: add "operators: \{ NAME: \{ role: admin, proof/,
  ],
  [
    'an operator who may not begin one for all',
    settings(CREDENTIAL, STORE, ADMIN.replace('role: admin', 'role: granter')),
    /credential: add "operators/,
  ],
  [
    'a claim that nobody shows',
    settings(`${CREDENTIAL}, identity: { claim: email }`, STORE, ADMIN),
    /use per-caller: no caller shows a token/,
  ],
  [
    'a claim of two issuers',
    settings(
      `${CREDENTIAL}, identity: { claim: sub }`,
      STORE,
      ADMIN,
      `callers: { a: ${JWT('https://one.example.com')}, b: ${JWT('https://two.example.com')} }`,
    ),
    /use per-caller: the same claim of two issuers is not the same person/,
  ],
  [
    'dpop of a public client',
    settings(`${CREDENTIAL}, dpop: true`, STORE, ADMIN).replace(/\} \}$/, '}, inject: { kind: dpop } }'),
    /leave dpop out/,
  ],
  [
    'no authorization endpoint',
    settings(
      CREDENTIAL.replace('issuer: "https://login.example.com"', 'tokenEndpoint: "https://login.example.com/t"'),
      STORE,
      ADMIN,
    ),
    /authorizationEndpoint: add it/,
  ],
  [
    'a plain authorization endpoint',
    settings(`${CREDENTIAL}, authorizationEndpoint: "http://login.example.com"`, STORE, ADMIN),
    /authorizationEndpoint: use https/,
  ],
  [
    'a plain revocation endpoint',
    settings(`${CREDENTIAL}, revocationEndpoint: "http://login.example.com"`, STORE, ADMIN),
    /revocationEndpoint: use https.*, or none/,
  ],
  [
    'a revocation endpoint that is none',
    settings(`${CREDENTIAL}, revocationEndpoint: off`, STORE, ADMIN),
    /revocationEndpoint: use a URL such as .*, or none/,
  ],
  [
    'a state of its own',
    settings(`${CREDENTIAL}, authorizationParams: { state: x }`, STORE, ADMIN),
    /authorizationParams.state: state is set by Sallyport itself/,
  ],
  [
    'a verifier of its own',
    settings(`${CREDENTIAL}, tokenParams: { code_verifier: x }`, STORE, ADMIN),
    /tokenParams.code_verifier/,
  ],
  [
    'another identity',
    settings(`${CREDENTIAL}, identity: each`, STORE, ADMIN),
    /identity: use shared, per-caller, or \{ claim: NAME \}/,
  ],
  [
    'a path in admin.url',
    settings(CREDENTIAL, STORE, `admin: { listen: "127.0.0.1:1", url: "https://a.test/x", ${OPS} }`),
    /admin.url: use an origin/,
  ],
  [
    'a plain admin.url',
    settings(CREDENTIAL, STORE, `admin: { listen: "127.0.0.1:1", url: "http://a.test", ${OPS} }`),
    /admin.url: use https/,
  ],
])('refuses logins with %s', async (_what, text, expected) => {
  const faults = await faultsOf(text)
  expect(faults).toEqual([expect.stringMatching(expected)])
})

test.each([
  settings(CREDENTIAL, STORE, ADMIN),
  // A caller begins its own, by the address in its 403.
  settings(`${CREDENTIAL}, identity: per-caller`, STORE, 'admin: { listen: "127.0.0.1:15090" }'),
  settings(CREDENTIAL, STORE, 'admin: { listen: "unix:a.sock", url: "http://localhost:8080" }'),
  settings(
    `${CREDENTIAL}, identity: { claim: sub }`,
    STORE,
    ADMIN,
    `callers: { a: ${JWT('https://one.example.com')} }`,
  ),
])('takes what is right: %#', async (text) => {
  expect(await faultsOf(text)).toEqual([])
})

import { describe, expect, test } from 'vitest'
import { loadSettings } from '../../src/settings/load.ts'
import { DOOR, faultsOf, settingsFile } from '../support/settings-file.ts'

const CRM = `allowlist: [crm.test]\nconnections: { crm: { hosts: [crm.test], credential: { kind: none } } }\n`
const TOKEN = 'kind: jwt, issuer: "https://issuer.test", audience: a'

function withCallers(callers: string, grant: string): string {
  return `${DOOR}${CRM}callers: { ${callers} }\ngrants: [ { ${grant}, connection: crm } ]\n`
}

describe('a grant to a caller', () => {
  const made = `all: { ${TOKEN}, name: "ci/{sub}" }`

  test.each([
    ['whose name a proof may make', made, 'caller: ci/job'],
    ['that the settings name', `job: { ${TOKEN}, claims: { sub: job } }`, 'caller: job'],
    ['of a cluster', 'k8s: { kind: kubernetes, issuer: "https://k8s.test", audience: a }', 'caller: shop/checkout'],
  ])('%s is right', async (_what, callers, grant) => {
    expect(await faultsOf(withCallers(callers, grant))).toEqual([])
  })

  test.each([
    ['whose name no proof makes', made, 'caller: gl/job', /use the name of a caller: all$/],
    ['whose proofs make other names', made, 'caller: all', /use a name that its proofs make, or a group/],
    [
      'of another namespace',
      'k8s: { kind: kubernetes, issuer: "https://k8s.test", audience: a, namespaces: [shop] }',
      'caller: bank/root',
      /use the name of a caller: k8s$/,
    ],
    ['that climbs', made, 'caller: ci/../job', /use the name of a caller: all$/],
  ])('%s is a mistake', async (_what, callers, grant, words) => {
    const faults = await faultsOf(withCallers(callers, grant))
    expect(faults).toEqual([expect.stringMatching(words)])
    expect(faults[0]).toContain('grants[0].caller')
  })
})

describe('settings of tokens', () => {
  test.each([
    ['no claims and no name', `a: { ${TOKEN} }`, /claims: say which tokens are this caller/],
    [
      'a scope for a connection that is not there',
      `a: { ${TOKEN}, claims: { sub: x }, scopes: { r: { connections: [erp] } } }`,
      /scopes\.r\.connections\[0\]: use the name of a connection: crm/,
    ],
    [
      'an issuer over http',
      'a: { kind: jwt, issuer: "http://issuer.test", audience: a, claims: { sub: x } }',
      /issuer: use https/,
    ],
    [
      'an algorithm with a shared secret',
      `a: { ${TOKEN}, claims: { sub: x }, algorithms: [HS256] }`,
      /algorithms\[0\]/,
    ],
    ['the algorithm none', `a: { ${TOKEN}, claims: { sub: x }, algorithms: [none] }`, /algorithms\[0\]/],
    ['no algorithm', `a: { ${TOKEN}, claims: { sub: x }, algorithms: [] }`, /algorithms/],
    ['more slack than a minute', `a: { ${TOKEN}, claims: { sub: x }, clockSlackMs: 60001 }`, /clockSlackMs/],
    [
      'a claim that has a setting of its own',
      `a: { ${TOKEN}, claims: { aud: x } }`,
      /claims\.aud: leave it out: audience/,
    ],
    ['a template without a slash', `a: { ${TOKEN}, name: "{sub}" }`, /name: put a "\/" into it/],
    [
      'keys over http',
      `a: { ${TOKEN}, claims: { sub: x }, jwks: { url: "http://issuer.test/k" } }`,
      /jwks\.url: use https/,
    ],
    [
      'keys in two places',
      `a: { ${TOKEN}, claims: { sub: x }, jwks: { url: "https://a.test", file: k } }`,
      /jwks: use \{ url: URL \}/,
    ],
    ['no audience', 'a: { kind: jwt, issuer: "https://issuer.test", audience: [], claims: { sub: x } }', /audience/],
  ])('with %s are refused', async (_what, callers, words) => {
    const faults = await faultsOf(withCallers(`b: { kind: api-key, key: { file: k } }, ${callers}`, 'caller: b'))
    expect(faults).toEqual([expect.stringMatching(words)])
  })

  test('an issuer whose keys are in a file may be any text', async () => {
    const callers = 'a: { kind: jwt, issuer: legacy, audience: a, claims: { sub: x }, jwks: { file: k } }'
    expect(await faultsOf(withCallers(callers, 'caller: a'))).toEqual([])
  })

  test('a name that two could make is a warning', async () => {
    const callers = `ci: { ${TOKEN}, name: "ci/{sub}" }, k8s: { kind: kubernetes, issuer: "https://k8s.test", audience: a }`
    const { warnings } = await loadSettings(await settingsFile(withCallers(callers, 'caller: ci/a')))
    expect(warnings).toEqual([expect.stringMatching(/callers\.ci\.name.*k8s may make, too, such as "ci\/x"/)])
  })
})

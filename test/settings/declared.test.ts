import { expect, test } from 'vitest'
import { isBelowCeiling } from '../../src/core/ceiling.ts'
import { declaredIn } from '../../src/settings/declared.ts'
import { loadSettings } from '../../src/settings/load.ts'
import { DOOR, settingsFile } from '../support/settings-file.ts'

const TEXT = `${DOOR}
allowlist: [api.crm.test]
callers:
  checkout: { kind: api-key, digest: "sha256:${'a'.repeat(64)}" }
  shops:
    kind: jwt
    issuer: https://id.test
    audience: sallyport
    name: "shop/{sub}"
    scopes: { "crm.read": { connections: [crm], methods: [GET] } }
connections:
  crm: { hosts: [api.crm.test], credential: { kind: static, secret: { file: crm } }, inject: { kind: query, name: key } }
grants:
  - { caller: checkout, connection: crm }
  - { group: west, connection: crm, rules: [{ methods: [GET] }], until: 2100-01-01T00:00:00Z }
`

async function declared() {
  const { settings } = await loadSettings(await settingsFile(TEXT))
  return declaredIn(settings)
}

test('grants and connections of the settings are as the API shows them', async () => {
  const { grants, connections, callers } = await declared()
  expect(grants).toEqual([
    {
      id: 'grants[0]',
      holder: { caller: 'checkout' },
      connection: 'crm',
      rules: [],
      until: undefined,
      mode: 'enforce',
    },
    {
      id: 'grants[1]',
      holder: { group: 'west' },
      connection: 'crm',
      rules: [{ methods: ['GET'] }],
      until: Date.UTC(2100, 0),
      mode: 'enforce',
    },
  ])
  expect(connections.get('crm')).toMatchObject({ port: 443, source: 'static', injection: 'query', disabled: false })
  expect([...callers]).toEqual([
    ['checkout', 'api-key'],
    ['shops', 'jwt'],
  ])
})

test('a caller goes by its name, or by one that a template may make of a proof', async () => {
  const { proofOf } = await declared()
  expect(['checkout', 'shop/cart', 'shops', 'cart', 'constructor'].map(proofOf)).toEqual([
    'api-key',
    'jwt',
    undefined,
    undefined,
    undefined,
  ])
})

test('scopes cap what a caller of tokens may do, and no other', async () => {
  const { ceilingOf } = await declared()
  const get = { connection: 'crm', method: 'GET', path: '/' }
  expect(ceilingOf('checkout', ['crm.read'])).toBeUndefined()
  expect(isBelowCeiling(ceilingOf('shop/cart', ['crm.read']), get)).toBe(true)
  expect(isBelowCeiling(ceilingOf('shop/cart', ['crm.read']), { ...get, method: 'POST' })).toBe(false)
  expect(isBelowCeiling(ceilingOf('shop/cart', ['other']), get)).toBe(false)
})

import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { Secret } from '../../src/core/secret.ts'
import { nameAtVersion } from '../../src/gate/lineage.ts'
import { longLivedOf, SecretReference } from '../../src/secrets/reference.ts'

const key = createHash('sha256').update('key').digest()

function named(settings: Readonly<Record<string, string>>, text = 'long-lived', version = 3, under = key): string {
  const held = { current: () => ({ secret: new Secret(text), version }) }
  return nameAtVersion(longLivedOf(new SecretReference(settings), held), under)
}

test('a secret of the store has the version that the store counts', () => {
  expect(named({ store: 'crm' })).toBe('crm@3')
})

test.each([
  [{ file: 'secrets/crm' }, 'file:secrets/crm'],
  [{ env: 'CRM_SECRET' }, 'env:CRM_SECRET'],
])('a secret at %j has a version of its value, which a restart does not change', (settings, name) => {
  const once = named(settings)
  expect(once).toMatch(new RegExp(`^${name}@[0-9a-f]{8}$`))
  expect(named(settings, 'long-lived', 1)).toBe(once)
  expect(named(settings, 'rotated')).not.toBe(once)
})

test('the version tells nothing of the value to whoever has not got the key', () => {
  const other = createHash('sha256').update('other').digest()
  expect(named({ file: 'f' }, 'long-lived', 1, other)).not.toBe(named({ file: 'f' }))
  expect(named({ file: 'f' })).not.toContain(createHash('sha256').update('long-lived').digest('hex').slice(0, 8))
})

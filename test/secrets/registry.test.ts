import { expect, test } from 'vitest'
import { z } from '../../src/forms/zod.ts'
import { SecretReference } from '../../src/secrets/reference.ts'
import { secretReference } from '../../src/secrets/registry.ts'

const REMEDY =
  'use { file: PATH }, { env: NAME }, { store: NAME } or { systemd: NAME }; a secret itself never stands in a settings file'

test.each([[{ file: 'secrets/crm' }], [{ env: 'CRM_SECRET' }], [{ store: 'crm' }], [{ systemd: 'crm' }]])(
  'takes %j',
  (settings) => {
    const reference = secretReference.parse(settings)
    expect(reference).toBeInstanceOf(SecretReference)
    expect(reference.settings).toEqual(settings)
  },
)

test('two references of one text are two objects, so that each can be looked up by itself', () => {
  expect(secretReference.parse({ env: 'A' })).not.toBe(secretReference.parse({ env: 'A' }))
})

test.each([
  ['canary'],
  [['canary']],
  [{}],
  [{ canary: 'canary' }],
  [{ value: 'canary' }],
  [{ file: 'a', env: 'B' }],
  [{ file: 7 }],
  [null],
  [7],
])('refuses %j with one clear message, which does not repeat it', (settings) => {
  const { error } = secretReference.safeParse(settings)
  expect(error?.issues.map(({ message }) => message)).toEqual([REMEDY])
})

test.each<[object, string]>([
  [{ file: '' }, 'use the path of a file, as in { file: secrets/crm }'],
  [{ file: 'a', value: 'canary' }, 'use { file: PATH } and nothing beside it'],
  [{ env: 'A', value: 'canary' }, 'use { env: NAME } and nothing beside it'],
  ...['canary!', '', '1A', 'A-B', 'A=B', 'A\n', ' A'].map(
    (env): [object, string] => [{ env }, 'use the name of an environment variable, as in { env: CRM_SECRET }'] as const,
  ),
])('refuses %j: %s', (settings, message) => {
  const { error } = secretReference.safeParse(settings)
  expect(error?.issues.map((issue) => issue.message)).toEqual([message])
})

test('becomes one named definition of the JSON Schema', () => {
  const schema = z.toJSONSchema(z.strictObject({ one: secretReference, other: secretReference }), { io: 'input' })
  expect(schema.properties).toEqual({
    one: { $ref: '#/$defs/SecretReference' },
    other: { $ref: '#/$defs/SecretReference' },
  })
  expect(schema.$defs?.['SecretReference']).toMatchObject({
    anyOf: [
      { properties: { file: { type: 'string' } }, required: ['file'], additionalProperties: false },
      { properties: { env: { type: 'string' } }, required: ['env'], additionalProperties: false },
      { properties: { store: { type: 'string' } }, required: ['store'], additionalProperties: false },
      { properties: { systemd: { type: 'string' } }, required: ['systemd'], additionalProperties: false },
    ],
  })
})

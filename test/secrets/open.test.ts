import { expect, test } from 'vitest'
import { openSecret } from '../../src/secrets/open.ts'
import { SecretReference } from '../../src/secrets/reference.ts'

const directory = '/nowhere'

test('reads an environment variable once', async () => {
  const environment: Record<string, string> = { CRM_SECRET: 'first' }
  const secret = await openSecret(new SecretReference({ env: 'CRM_SECRET' }), { directory, environment })
  environment['CRM_SECRET'] = 'second'
  const { secret: value, version } = secret.current()
  expect([value.reveal(), version]).toEqual(['first', 1])
  secret.onChange(() => expect.unreachable())
  secret.close()
})

test('reads the environment of the process when it is given none', async () => {
  const secret = await openSecret(new SecretReference({ env: 'PATH' }), { directory })
  expect(secret.current().secret.reveal()).toBe(process.env['PATH'])
})

test.each([
  ['unset', {}, 'CRM_SECRET is not set'],
  ['empty', { CRM_SECRET: '' }, 'CRM_SECRET is empty'],
])('refuses a variable that is %s', async (_, environment, says) => {
  await expect(openSecret(new SecretReference({ env: 'CRM_SECRET' }), { directory, environment })).rejects.toThrow(says)
})

test.each(['toString', 'constructor'])(
  'a variable named %s is not found in the prototype of an object',
  async (env) => {
    await expect(openSecret(new SecretReference({ env }), { directory, environment: {} })).rejects.toThrow('is not set')
  },
)

test('refuses a reference of no kind', async () => {
  await expect(openSecret(new SecretReference({ toString: 'x' }), { directory })).rejects.toThrow('of no kind')
})

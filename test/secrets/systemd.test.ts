import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openSecret } from '../../src/secrets/open.ts'
import { nameOfSecret, SecretReference } from '../../src/secrets/reference.ts'
import { secretReference } from '../../src/secrets/registry.ts'
import { CANARY, setUp } from './places.ts'

const IS_ROOT = process.geteuid?.() === 0

async function open(environment: Record<string, string>, systemd = 'crm') {
  const secret = await openSecret(new SecretReference({ systemd }), { directory: '/nowhere', environment })
  secret.close()
  return secret.current().secret.reveal()
}

test('reads the file of that name in the directory that systemd names', async () => {
  const { directory, path } = setUp(`${CANARY}\n`)
  chmodSync(path, 0o400)
  expect(await open({ CREDENTIALS_DIRECTORY: directory })).toBe(CANARY)
})

test('is named in the audit as what it is', () => {
  expect(nameOfSecret(new SecretReference({ systemd: 'crm' }))).toBe('systemd:crm')
})

test.each([[{}], [{ CREDENTIALS_DIRECTORY: '' }], [{ CREDENTIALS_DIRECTORY: 'here' }]])(
  'says where it is to be had when the environment has %j',
  async (environment) => {
    await expect(open(environment)).rejects.toThrow(
      'CREDENTIALS_DIRECTORY is not set: start it by systemd, with LoadCredential=crm:PATH in the unit; elsewhere, set it to a directory with the file crm',
    )
  },
)

test('a credential that the unit does not load is missing, by its path', async () => {
  const { directory } = setUp(CANARY)
  await expect(open({ CREDENTIALS_DIRECTORY: directory }, 'other')).rejects.toThrow(`${directory}/other does not exist`)
})

test.each(['../crm', 'a/b', '', '.', '..', 'a b', '-x'])('takes no %j for a name', (name) => {
  const { error } = secretReference.safeParse({ systemd: name })
  expect(error?.issues.map(({ message }) => message)).toEqual([
    'use the name of LoadCredential= or LoadCredentialEncrypted=, as in { systemd: crm }',
  ])
})

// On a tmpfs systemd leaves the file root's, and lets the user of the service read it by an ACL; on a ramfs it makes it his.
test.skipIf(!IS_ROOT)('of a file of root, 0440 is the mask of an ACL', async () => {
  const { directory, path } = setUp(CANARY)
  chmodSync(path, 0o440)
  expect(await open({ CREDENTIALS_DIRECTORY: directory })).toBe(CANARY)
})

test.skipIf(!IS_ROOT).each([0o444, 0o460, 0o450, 0o404, 0o402, 0o442])(
  'of a file of root, %o is open to other users',
  async (mode) => {
    const { directory, path } = setUp(CANARY)
    chmodSync(path, mode)
    await expect(open({ CREDENTIALS_DIRECTORY: directory })).rejects.toThrow(/is open to other users/)
  },
)

test.skipIf(!IS_ROOT)('a file of another user is not taken, whatever its mode', async () => {
  const { directory, path } = setUp(CANARY)
  chownSync(path, 4711, 0)
  chmodSync(path, 0o440)
  await expect(open({ CREDENTIALS_DIRECTORY: directory })).rejects.toThrow('belongs to uid 4711')
})

test('a link out of the directory is no credential', async () => {
  const { directory, path } = setUp(CANARY)
  const passed = join(directory, 'passed')
  mkdirSync(passed)
  writeFileSync(join(passed, 'own'), CANARY, { mode: 0o400 })
  symlinkSync(path, join(passed, 'crm'))
  await expect(open({ CREDENTIALS_DIRECTORY: passed })).rejects.toThrow(/is a symbolic link out of its directory/)
})

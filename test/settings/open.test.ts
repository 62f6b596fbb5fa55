import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Secret } from '../../src/core/secret.ts'
import { loadSettings } from '../../src/settings/load.ts'
import { openReferences } from '../../src/settings/open.ts'
import { makeSelfSigned } from '../support/certificates.ts'
import { eventually } from '../support/sallyport.ts'
import { DOOR, refusalOf, settingsFile } from '../support/settings-file.ts'

/** Settings whose one caller has its key in `keys/a`, on line 3 from column 37. */
async function withKey(): Promise<{ file: string; key: string }> {
  const file = await settingsFile(`${DOOR}callers: { a: { kind: api-key, key: { file: keys/a } } }\n`)
  const key = join(dirname(file), 'keys/a')
  await mkdir(dirname(key))
  return { file, key }
}

async function open(file: string) {
  const loaded = await loadSettings(file)
  const references = await openReferences(loaded, () => undefined)
  onTestFinished(() => references.close())
  return { references, settings: loaded.settings }
}

const write =
  (text: string | Uint8Array, mode = 0o600) =>
  (key: string) =>
    writeFile(key, text, { mode })

describe('K03: a secret file is refused with its path, and nothing of its content', () => {
  test.each<[string, (key: string) => Promise<unknown>, string]>([
    ['that is missing', async () => undefined, 'does not exist: create it, owned by the user of Sallyport, mode 0600'],
    ['that is empty', write(''), 'is empty: write the secret into it'],
    ['of a newline alone', write('\n'), 'is empty: write the secret into it'],
    ['that is a directory', (key) => mkdir(key), 'is a directory: name a file in it'],
    [
      'that others may read',
      (key) => write('hunter2')(key).then(() => chmod(key, 0o644)),
      'is open to other users: chmod 600 KEY',
    ],
    ['of 10 MB', write('hunter2'.repeat(1_500_000)), 'has more than 65536 bytes: a secret is smaller'],
    ['with a zero byte', write('hunter2\0'), 'has a zero byte in it: write the secret as text'],
    ['of other bytes than UTF-8', write(Buffer.from([0x68, 0xff])), 'is not UTF-8 text of at most 65536 bytes'],
    [
      'that is a link out of its directory',
      async (key) => {
        const other = join(dirname(key), '../elsewhere')
        await write('hunter2')(other)
        await symlink(other, key)
      },
      'is a symbolic link out of its directory: give the path of the file itself',
    ],
  ])('%s', async (_, prepare, expected) => {
    const { file, key } = await withKey()
    await prepare(key)
    expect(await refusalOf(open(file))).toEqual([`${file}:3:37 callers.a.key: ${key} ${expected.replace('KEY', key)}`])
  })

  test('one final newline is no part of the secret', async () => {
    const { file, key } = await withKey()
    await write('correct horse\n\n')(key)
    const { references, settings } = await open(file)
    const caller = settings.callers['a']
    if (caller?.kind !== 'api-key' || !caller.key) throw new Error('the settings above have a key')
    expect(references.secret(caller.key).current().secret.reveal()).toBe('correct horse\n')
  })
})

test('everything that cannot be opened is told at once', async () => {
  const file = await settingsFile(
    `${DOOR}callers:\n  a: { kind: api-key, key: { file: none } }\n  b: { kind: api-key, key: { env: SALLYPORT_TEST_UNSET } }\n`,
  )
  expect(await refusalOf(open(file))).toEqual([
    `${file}:4:28 callers.a.key: ${join(dirname(file), 'none')} does not exist: create it, owned by the user of Sallyport, mode 0600`,
    `${file}:5:28 callers.b.key: the environment variable SALLYPORT_TEST_UNSET is not set: set it, or use { file: PATH }`,
  ])
})

test('one file that several places name is one secret, and is complained of once, with all of them', async () => {
  const credential = '{ kind: static, secret: { file: ./keys/../keys/a } }'
  const file = await settingsFile(
    `${DOOR}callers: { a: { kind: api-key, key: { file: keys/a } } }\nconnections: { crm: { hosts: [ a.test ], credential: ${credential} } }\n`,
  )
  const key = join(dirname(file), 'keys/a')
  await mkdir(dirname(key))
  await write('first')(key)
  const told: string[] = []
  const references = await openReferences(await loadSettings(file), (message) => told.push(message))
  onTestFinished(() => references.close())
  await chmod(key, 0o644)
  await eventually(() => (told.length > 0 ? true : undefined), 'a complaint', 5_000)
  // As long again as it took, for a second one.
  await eventually(() => (told.length > 1 ? true : undefined), 'another one', 2_500).catch(() => undefined)
  expect(told).toEqual([
    `callers.a.key, connections.crm.credential.secret: ${key} is open to other users: chmod 600 ${key}. The secret read before stays in use`,
  ])
})

test('a file of certificates that holds none is refused', async () => {
  const file = await settingsFile(
    `${DOOR}connections: { crm: { hosts: [ a.test ], credential: { kind: none }, tls: { ca: { file: ca.pem } } } }\n`,
  )
  const pem = join(dirname(file), 'ca.pem')
  await writeFile(pem, 'hunter2')
  const [line = ''] = await refusalOf(open(file))
  expect(line).toMatch(/^\S+:3:\d+ connections\.crm\.tls\.ca: /)
  expect(line).toContain(pem)
  expect(line).toContain('use one with "-----BEGIN CERTIFICATE-----"')
  expect(line).not.toContain('hunter2')
})

test('a key of a door that is in the store is judged with its certificate once that is open', async () => {
  const [door, other] = await Promise.all([makeSelfSigned(['door.test']), makeSelfSigned(['door.test'])])
  const file = await settingsFile(
    `listeners:\n  - { kind: forward, listen: 127.0.0.1:0, tls: { certificate: { file: door.pem }, key: { store: door } } }\nstore: { kind: sqlite, path: s.db }\n`,
  )
  await writeFile(join(dirname(file), 'door.pem'), door.cert)
  const holding = (key: string) => ({
    open: async () => ({ secret: new Secret(key), version: 1 }),
    onChange: () => () => undefined,
  })
  const { references } = await open(file)
  expect(references.left).toHaveLength(1)
  await references.openStored(holding(door.key))
  const [line = '', ...more] = await refusalOf((await open(file)).references.openStored(holding(other.key)))
  expect(line).toMatch(/^\S+:2:\d+ listeners\[0\]\.tls\.key: /)
  expect(more).toEqual([])
})

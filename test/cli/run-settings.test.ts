import { expect, test } from 'vitest'
import { callerNamed, placeholdersOf } from '../../src/cli/callers.ts'
import { runSettings } from '../../src/cli/run-settings.ts'
import { loadSettings } from '../../src/settings/load.ts'
import { settingsFile } from '../support/settings-file.ts'

const WHOLE = `
listeners:
  - { kind: forward, listen: 127.0.0.1:15001, caller: door }
  - { kind: reverse, listen: unix:crm.sock, connection: crm }
admin: { listen: 127.0.0.1:15090 }
allowlist: [ api.crm.test, api.git.test ]
callers:
  door: { kind: socket, unsafeAnyLocalProcess: true }
  checkout: { kind: api-key, key: { env: CHECKOUT_KEY } }
connections:
  crm:
    hosts: [ api.crm.test ]
    credential: { kind: static, secret: { env: CRM } }
    placeholders: { CRM_TOKEN: of-crm, SHARED: of-crm }
  git:
    hosts: [ api.git.test ]
    credential: { kind: static, secret: { env: GIT } }
    placeholders: { GITHUB_TOKEN: of-git, SHARED: of-git }
grants:
  - { caller: door, connection: crm }
  - { caller: checkout, connection: git }
`

const CALLER = { name: 'checkout', key: 'key', record: undefined }

async function settingsOf(text: string) {
  return (await loadSettings(await settingsFile(text))).settings
}

const run = async (text: string) => runSettings(await settingsOf(text), CALLER)

test('there is one door on a free port, and one caller, known by the digest of its key', async () => {
  const { listeners, admin, callers } = await run(WHOLE)
  expect(listeners).toEqual([{ kind: 'forward', listen: '127.0.0.1:0', mode: '0600', maxSockets: 4096 }])
  expect(admin).toBeUndefined()
  // printf %s key | sha256sum
  const digest = 'sha256:2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683'
  expect(callers).toEqual({ checkout: { kind: 'api-key', digest } })
})

test('connections, allowlist and grants are those of the file, each in its place', async () => {
  const settings = await settingsOf(WHOLE)
  const { connections, allowlist, grants } = runSettings(settings, CALLER)
  expect({ connections, allowlist, grants }).toEqual({
    connections: settings.connections,
    allowlist: settings.allowlist,
    grants: settings.grants,
  })
})

test.each([
  ['', 'ephemeral'],
  ['ca: ephemeral\n', 'ephemeral'],
  ['ca: { directory: authority }\n', { directory: 'authority' }],
])('with %j the authority is %j', async (more, ca) => {
  expect((await run(WHOLE + more)).ca).toEqual(ca)
})

test('entries go to files, never among what the command prints', async () => {
  const sinks = '[ { kind: json-lines }, { kind: json-lines, path: audit.jsonl } ]'
  expect((await run(`${WHOLE}audit: { sinks: ${sinks} }\n`)).audit.sinks).toEqual([
    { kind: 'json-lines', path: 'audit.jsonl' },
  ])
})

test.each([
  ['', 'warn'],
  ['log: { level: debug }\n', 'debug'],
  ['log: { level: error }\n', 'error'],
])('with %j the log is at %s', async (more, level) => {
  expect((await run(WHOLE + more)).log.level).toBe(level)
})

test.each([
  ['', 1_000],
  ['drainTimeoutMs: 50\n', 50],
])('with %j what is left behind has %s ms', async (more, ms) => {
  expect((await run(WHOLE + more)).drainTimeoutMs).toBe(ms)
})

test('a caller has the placeholders of what it was granted, and no others', async () => {
  const settings = await settingsOf(WHOLE)
  expect(placeholdersOf(settings, 'checkout')).toEqual({ GITHUB_TOKEN: 'of-git', SHARED: 'of-git' })
  const both = {
    ...settings,
    grants: [...settings.grants, { caller: 'door', connection: 'git', mode: 'enforce' as const }],
  }
  expect(placeholdersOf(both, 'door')).toEqual({ CRM_TOKEN: 'of-crm', GITHUB_TOKEN: 'of-git', SHARED: 'of-crm' })
})

test('a caller is named, unless there is only one', async () => {
  const settings = await settingsOf(WHOLE)
  const { door: _other, ...alone } = settings.callers
  expect(callerNamed(settings, 'door')).toBe('door')
  expect(callerNamed({ ...settings, callers: alone }, undefined)).toBe('checkout')
  expect(() => callerNamed(settings, undefined)).toThrow('use --caller with one of door, checkout')
  expect(() => callerNamed(settings, 'toString')).toThrow('use --caller with one of door, checkout')
  expect(() => callerNamed({ ...settings, callers: {} }, undefined)).toThrow('add one to "callers"')
})

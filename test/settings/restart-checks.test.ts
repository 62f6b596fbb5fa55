import { expect, test } from 'vitest'
import { loadSettings } from '../../src/settings/load.ts'
import { restartFaults } from '../../src/settings/restart-checks.ts'
import { settingsFile } from '../support/settings-file.ts'

const token = { tokenEndpoint: 'https://login.test/token', clientId: 'c' }
const login = { kind: 'refresh-token', ...token, clientSecret: { file: 's' }, refreshToken: { file: 'r' } }
const BASE = {
  listeners: [{ kind: 'forward', listen: '127.0.0.1:15001' }],
  admin: { listen: 'unix:admin.sock' },
  store: { kind: 'sqlite', path: 'state/store.db', key: { file: 'seal' } },
  ca: 'ephemeral',
  allowlist: ['a.test'],
  callers: { one: { kind: 'api-key', key: { file: 'k' } } },
  connections: {
    a: { hosts: ['a.test'], credential: { kind: 'static', secret: { file: 's' } } },
    kept: { hosts: ['kept.test'], connect: 'refuse', credential: login },
    wide: { hosts: ['*.wide.test'], credential: { kind: 'static', secret: { file: 's' } } },
  },
  grants: [{ caller: 'one', connection: 'a' }],
}

async function faults(changes: object, base: object = {}): Promise<string[]> {
  const [before, after] = await Promise.all(
    [{}, changes]
      .map((these) => ({ ...BASE, ...base, ...these }))
      .map(async (one) => loadSettings(await settingsFile(JSON.stringify(one)))),
  )
  if (!before || !after) throw new Error('no settings')
  return restartFaults(before.settings, after.settings, '/etc/it/s.yaml').map(
    ({ path, message }) => `${path.join('.')}: ${message}`,
  )
}

const { a, kept, wide } = BASE.connections

test.each<[string, object]>([
  ['nothing', {}],
  ['the allowlist', { allowlist: { hosts: ['a.test', 'b.test'], mode: 'report' } }],
  ['callers', { callers: { ...BASE.callers, two: { kind: 'api-key', key: { file: 'l' } } } }],
  ['grants', { grants: [] }],
  ['a connection', { connections: { a: { ...a, basePath: '/v2' }, kept } }],
  ['one more connection', { connections: { a, kept, b: { ...a, hosts: ['b.test'], connect: 'refuse' } } }],
  ['one that was intercepted, and goes', { connections: { kept }, grants: [] }],
  ['one that is intercepted no more', { connections: { a: { ...a, connect: 'refuse' }, kept } }],
  [
    'a host below one that was intercepted',
    {
      connections: { kept, wide, b: { ...a, hosts: ['b.wide.test'] }, c: { ...a, hosts: ['*.c.wide.test'] } },
      grants: [],
    },
  ],
  ['a connection with logins', { connections: { a, kept: { ...kept, basePath: '/v2' } } }],
  ['what its logins are for', { connections: { a, kept: { ...kept, credential: { ...login, scope: 'all' } } } }],
  ['one with logins that goes', { connections: { a } }],
])('%s may change while it runs', async (_, changes) => {
  expect(await faults(changes)).toEqual([])
})

test('where the authority is kept, its key is to be rotated before the restart that takes in a new host', async () => {
  const ca = { directory: 'ca' }
  const connections = { a, kept, b: { ...a, hosts: ['b.test'] } }
  expect(await faults({ connections }, { ca })).toEqual([
    expect.stringMatching(
      /^connections\.b\.hosts: b\.test cannot .*: run `sallyport ca rotate --config \/etc\/it\/s\.yaml`, restart, and hand out the new certificate to the apps, or add "connect: refuse" until then$/,
    ),
  ])
  const none = { connections: { kept }, grants: [] }
  const first = await faults({ connections, grants: [] }, { ca, ...none })
  expect(first.at(-1)).toMatch(/^connections\.b\.hosts: .*: restart, or add/)
})

test.each<[string, object, RegExp]>([
  ['a door', { listeners: [{ kind: 'forward', listen: '127.0.0.1:15002' }] }, /^listeners: has changed, .*restart/],
  ['the admin door', { admin: { listen: 'unix:other.sock' } }, /^admin: has changed/],
  ['the store', { store: { ...BASE.store, staleMs: 1000 } }, /^store: has changed/],
  ['the audit', { audit: { sinks: [{ kind: 'store' }] } }, /^audit: has changed/],
  ['the traces', { traces: { endpoint: 'https://collector.test/v1/traces' } }, /^traces: has changed/],
  ['a door of probes', { health: { listen: '127.0.0.1:0' } }, /^health: has changed/],
  [
    'a host that was not intercepted',
    { connections: { a, kept, b: { ...a, hosts: ['b.test'] } } },
    /^connections\.b\.hosts: b\.test cannot be intercepted yet.*: restart, or add "connect: refuse" until then$/,
  ],
  [
    'the name above all that were intercepted',
    { connections: { a, kept, b: { ...a, hosts: ['wide.test', '*.test'] } } },
    /^connections\.b\.hosts: wide\.test, \*\.test cannot be intercepted yet/,
  ],
  [
    'the first caller that the kernel knows',
    { callers: { ...BASE.callers, two: { kind: 'unix-peer', uid: 7 } } },
    /^callers: whether there are callers of kind unix-peer/,
  ],
])('%s is read at the start alone', async (_, changes, message) => {
  expect(await faults(changes)).toEqual([expect.stringMatching(message)])
})

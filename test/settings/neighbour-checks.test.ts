import { expect, test } from 'vitest'
import { crossFaults } from '../../src/settings/cross-checks.ts'
import { settingsSchema } from '../../src/settings/schema.ts'

function faultsOf(connections: Readonly<Record<string, object>>, allowlist = ['*.crm.test']) {
  const whole = Object.entries(connections).map(
    ([name, one]) => [name, { hosts: [`${name}.crm.test`], ...one }] as const,
  )
  const settings = settingsSchema.parse({
    listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }],
    allowlist,
    connections: Object.fromEntries(whole),
  })
  return crossFaults(settings).map(({ path, message }) => `${path.join('.')}: ${message}`)
}

const through = (connection: string) => ({
  credential: { kind: 'http-mint', connection, path: '/mint', tokenPointer: '/token' },
})
const APP = { appId: 1, installationId: 2, key: { file: 'app.pem' } }
const none = { credential: { kind: 'none' } }

test('a token may be minted through a connection, and through one that is minted so', () => {
  expect(faultsOf({ db: through('workspace'), workspace: through('vault'), vault: none })).toEqual([])
})

test.each([
  ['that is not there', { db: through('vault') }, [/use the name of a connection: db/]],
  [
    'that is itself',
    { db: through('db') },
    [/^connections\.db\.credential\.connection: use another connection: this one would need itself, by db$/],
  ],
  [
    'that is minted through it',
    { a: through('b'), b: through('c'), c: through('a'), outside: through('a') },
    [/this one would need itself, by b, which needs c, which needs a/, /^connections\.b/, /^connections\.c/],
  ],
  [
    'without an exact host',
    { db: through('vault'), vault: { ...none, hosts: ['*.vault.crm.test'] } },
    [/give vault an exact host/],
  ],
  [
    'that replaces what a caller sends',
    {
      db: through('vault'),
      vault: {
        credential: { kind: 'static', secret: { file: 'key' } },
        inject: { kind: 'placeholder', placeholder: 'held-by-sallyport', in: { header: 'x-api-key' } },
      },
    },
    [/use another connection: vault injects into what a caller sends/],
  ],
  [
    'that has a token for each repository alone',
    {
      db: through('github'),
      github: { credential: { kind: 'github-app', ...APP, perRepository: true, owner: 'acme' } },
    },
    [/use another connection: github has another token for each repository/],
  ],
  ['that is disabled', { db: through('vault'), vault: { ...none, disabled: true } }, [/enable vault/]],
])('a connection %s is refused', (_what, connections, messages) => {
  const faults = faultsOf(connections)
  expect(faults).toEqual(messages.map((message) => expect.stringMatching(message)))
})

test('a connection to where egress may not go is refused', () => {
  expect(faultsOf({ db: through('vault'), vault: none }, ['db.crm.test'])).toEqual([
    'connections.db.credential.connection: add "vault.crm.test" of vault to the allowlist: otherwise it may not be asked',
  ])
})

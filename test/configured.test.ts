import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { type Configured, configure } from '../src/configured.ts'
import { parseSettings } from '../src/settings/load.ts'
import { openReferences } from '../src/settings/open.ts'
import { Shared } from '../src/settings/shared.ts'
import { createLogger } from '../src/telemetry/logger.ts'
import { createMetrics } from '../src/telemetry/metrics.ts'
import { NOTHING_READ } from '../src/telemetry/readings.ts'
import { makeCallerTools } from './support/caller-tools.ts'
import { privateDirectory, remove, writeSecret } from './support/sallyport.ts'

const issuer = { tokenEndpoint: 'https://login.test/token', clientId: 'c', clientSecret: { file: 'secret' } }
const minted = { hosts: ['minted.test'], credential: { kind: 'client-credentials', ...issuer } }
const mintedByIt = {
  hosts: ['lent.test'],
  credential: { kind: 'http-mint', connection: 'minted', path: '/token', tokenPointer: '/token' },
}
const login = {
  hosts: ['login.test'],
  credential: { kind: 'refresh-token', ...issuer, refreshToken: { file: 'refresh' } },
}
const CONNECTIONS = { minted, login }

/** Settings, and those that come after them, built as a reload does. */
async function readings() {
  const directory = privateDirectory()
  onTestFinished(() => remove(directory))
  for (const name of ['secret', 'refresh', 'seal'])
    writeSecret(directory, name, Buffer.alloc(32, name).toString('base64'))
  const { clock, dialer, onFault } = makeCallerTools()
  const [log, metrics, shared] = [createLogger('silent'), createMetrics(NOTHING_READ), new Shared()]
  const ending = new AbortController().signal
  const tools = {
    proving: { clock, dialer, onFault },
    connecting: { clock, dialer, log, metrics, ending, isDisabled: () => false },
  }
  return async (connections: object, before?: Configured) => {
    const settings = {
      listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }],
      store: { kind: 'sqlite', path: 'store/s.db', key: { file: 'seal' } },
      allowlist: ['*.test'],
      connections,
    }
    const loaded = await parseSettings(JSON.stringify(settings), join(directory, 'sallyport.yaml'))
    const references = await openReferences(loaded, onFault, shared)
    onTestFinished(() => references.close())
    return configure(loaded, references, tools, before)
  }
}

/** What of a connection went on: all of it, its credential, or nothing. */
function keptOf(name: string, before: Configured, after: Configured): string {
  const [one, other] = [before.connections.get(name), after.connections.get(name)]
  if (one === other) return 'all'
  return one?.supply === other?.supply ? 'its credential' : 'nothing'
}

test.each([
  ['nothing', {}, 'all'],
  ['its hosts', { hosts: ['other.test'] }, 'its credential'],
  ['how it is injected', { inject: { kind: 'header', name: 'X-Key' } }, 'its credential'],
  ['its limits', { limits: { maxConcurrent: 3 } }, 'its credential'],
  ['what its credential is asked for with', { credential: { ...minted.credential, scope: 'more' } }, 'nothing'],
  ['where its credential is from', { credential: { kind: 'static', secret: { file: 'secret' } } }, 'nothing'],
])('where %s is another, there goes on: %#', async (_, changes, kept) => {
  const read = await readings()
  const before = await read(CONNECTIONS)
  expect(keptOf('minted', before, await read({ ...CONNECTIONS, minted: { ...minted, ...changes } }, before))).toBe(kept)
})

test('connections that keep logins are no other: with the same credential nobody has to log in again', async () => {
  const read = await readings()
  const before = await read(CONNECTIONS)
  const moved = await read({ ...CONNECTIONS, login: { ...login, hosts: ['moved.test'] } }, before)
  expect(keptOf('login', before, moved)).toBe('its credential')
  const other = await read(
    { ...CONNECTIONS, login: { ...login, credential: { ...login.credential, scope: 'a' } } },
    moved,
  )
  expect(keptOf('login', moved, other)).toBe('nothing')
})

test('what asks another connection goes on with it, and begins anew where that one is another', async () => {
  const read = await readings()
  const before = await read({ minted, mintedByIt })
  const same = await read({ minted, mintedByIt }, before)
  expect(keptOf('mintedByIt', before, same)).toBe('all')
  const moved = await read({ minted, mintedByIt: { ...mintedByIt, basePath: '/v2' } }, same)
  expect(keptOf('mintedByIt', same, moved)).toBe('its credential')
  const beside = await read(
    { minted: { ...minted, basePath: '/v2' }, mintedByIt: { ...mintedByIt, basePath: '/v2' } },
    moved,
  )
  expect(keptOf('mintedByIt', moved, beside)).toBe('nothing')
})

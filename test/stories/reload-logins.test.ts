import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { HandClock } from '../support/hand-clock.ts'
import { openHouseInside } from '../support/house.ts'
import { sendRaw } from '../support/raw-client.ts'
import { eventually, remove, writeSecret } from '../support/sallyport.ts'
import { OK, type Step, startUpstream } from '../support/upstream.ts'
import { authority, connectionTo, crmDirectory, crmSettings, PROOF } from './crm.ts'

const HOUR_MS = 3_600_000
const NAMES = ['api.crm.test', 'moved.test', 'login.test']

/** An answer with a token, and with the refresh token that has to be shown the next time. */
function granted(number: number): Step {
  const body = { access_token: `at-${number}`, token_type: 'Bearer', expires_in: 3600, refresh_token: `rt-${number}` }
  const text = JSON.stringify(body)
  return {
    send: `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${text.length}\r\nConnection: close\r\n\r\n${text}`,
  }
}

/** A sidecar with a connection that keeps logins, its upstream, and its issuer, which can be kept waiting. */
async function scene() {
  const directory = crmDirectory()
  onTestFinished(() => remove(directory))
  writeSecret(directory, 'seal', randomBytes(32).toString('base64'))
  writeSecret(directory, 'refresh', 'rt-0')
  const identity = await authority.issue(NAMES)
  const upstream = await startUpstream(() => OK, identity)
  const gate = { opened: Promise.resolve() }
  const issuer = await startUpstream((_, index) => [{ wait: gate.opened }, granted(index + 1), 'fin'], identity)
  onTestFinished(() => Promise.all([upstream.close(), issuer.close()]).then(() => undefined))
  const login = {
    kind: 'refresh-token',
    refreshToken: { file: 'refresh' },
    tokenEndpoint: `https://login.test:${issuer.port}/token`,
    clientId: 'my-app',
    clientAuth: 'none',
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: ['127.0.0.0/8'],
  }
  const settingsWith = (changes: object = {}, credential: object = {}) => ({
    ...crmSettings({ port: upstream.port, connection: { credential: { ...login, ...credential }, ...changes } }),
    listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }],
    store: { kind: 'sqlite', path: 'store/s.db', key: { file: 'seal' }, staleMs: 24 * HOUR_MS },
    allowlist: ['*.test'],
    dns: { hosts: Object.fromEntries(NAMES.map((name) => [name, ['127.0.0.1']])) },
  })
  const clock = new HandClock()
  const { house, door } = await openHouseInside(directory, settingsWith(), clock)
  onTestFinished(() => house.close())
  const file = join(directory, 'sallyport.yaml')
  const { log, audit, drainTimeoutMs } = JSON.parse(readFileSync(file, 'utf8'))
  return {
    clock,
    gate,
    issuer,
    settingsWith,
    /** What the upstream was shown. */
    spent: () => upstream.heads().map((head) => /Bearer (\S+)/i.exec(head)?.[1]),
    /** What the issuer was shown. */
    shown: () => Array.from(issuer.bytes().matchAll(/refresh_token=(rt-\d+)/g), ([, token]) => token),
    ask: async (host = 'api.crm.test') =>
      (
        await sendRaw(
          door('forward'),
          `GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\n${PROOF}Connection: close\r\n\r\n`,
        )
      ).status,
    async reload(settings: object) {
      writeFileSync(file, JSON.stringify({ log, audit, drainTimeoutMs, ...settings }))
      await house.reload('signal')
    },
  }
}

test('other hosts of a connection that keeps logins are taken in, and its token goes on', async () => {
  const { settingsWith, spent, shown, ask, reload } = await scene()
  expect(await ask()).toBe(200)
  await reload(settingsWith({ hosts: ['moved.test'] }))
  expect([await ask(), await ask('moved.test')]).toEqual([403, 200])
  expect(spent()).toEqual(['at-1', 'at-1'])
  expect(shown()).toEqual(['rt-0'])
})

test('another credential beside a refresh that is under way shows no refresh token twice', async () => {
  const { clock, gate, settingsWith, spent, shown, issuer, ask, reload } = await scene()
  expect(await ask()).toBe(200)
  clock.advance(HOUR_MS)
  const held = Promise.withResolvers<void>()
  gate.opened = held.promise
  const asking = ask()
  await eventually(() => issuer.heads().length === 2 || undefined, 'the refresh')
  await reload(settingsWith({}, { timeoutMs: 9_000 }))
  const after = ask()
  held.resolve()
  expect([await asking, await after]).toEqual([200, 200])
  expect(spent()).toEqual(['at-1', 'at-2', 'at-2'])
  clock.advance(HOUR_MS)
  expect(await ask()).toBe(200)
  expect(shown()).toEqual(['rt-0', 'rt-1', 'rt-2'])
})

test('a connection that keeps logins may go, and when it comes back its login is there', async () => {
  const { settingsWith, spent, shown, ask, reload } = await scene()
  expect(await ask()).toBe(200)
  await reload({ ...settingsWith(), connections: { other: connectionTo('moved.test', 443) }, grants: [] })
  expect(await ask()).toBe(403)
  await reload(settingsWith())
  expect(await ask()).toBe(200)
  expect(spent()).toEqual(['at-1', 'at-1'])
  expect(shown()).toEqual(['rt-0'])
})

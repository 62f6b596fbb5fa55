import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { LINGER_MS } from '../../src/telemetry/departed.ts'
import { askDoor } from '../admin/door.ts'
import { HandClock } from '../support/hand-clock.ts'
import { openHouseInside } from '../support/house.ts'
import { sendRaw } from '../support/raw-client.ts'
import { remove, writeSecret } from '../support/sallyport.ts'
import { startUpstream } from '../support/upstream.ts'
import { authority, CALLER_KEY, connectionTo, crmDirectory, crmSettings } from './crm.ts'

const NAMES = ['api.crm.test', 'other.test']

async function scene() {
  const directory = crmDirectory()
  onTestFinished(() => remove(directory))
  const key = randomBytes(32).toString('hex')
  writeSecret(directory, 'admin-key', key)
  const upstream = await startUpstream(undefined, await authority.issue(NAMES))
  onTestFinished(() => upstream.close())
  const { port } = upstream
  const settings = {
    ...crmSettings({ port }),
    listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }],
    admin: {
      listen: '127.0.0.1:0',
      operators: { ann: { role: 'admin', proof: { kind: 'api-key', key: { file: 'admin-key' } } } },
    },
    store: { kind: 'sqlite', path: 'store/s.db', staleMs: 86_400_000 },
    allowlist: NAMES,
    connections: { crm: connectionTo('api.crm.test', port), other: connectionTo('other.test', port) },
    grants: ['crm', 'other'].map((connection) => ({ caller: 'checkout', connection })),
    dns: { hosts: Object.fromEntries(NAMES.map((name) => [name, ['127.0.0.1']])) },
  }
  const clock = new HandClock()
  const { house, door, entry } = await openHouseInside(directory, settings, clock)
  onTestFinished(() => house.close())
  const file = join(directory, 'sallyport.yaml')
  return {
    clock,
    /** Once it is counted. */
    async ask(host: string, caller: string, its: string) {
      const proof = `Proxy-Authorization: Basic ${Buffer.from(`${caller}:${its}`).toString('base64')}\r\n`
      const head = `GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\n${proof}Connection: close\r\n\r\n`
      expect((await sendRaw(door('forward'), head)).status).toBe(200)
      await entry({ msg: 'ask', caller, host })
    },
    operate: (method: string, path: string, body?: object) =>
      askDoor(house.admin ?? '', { method, path, key, ...(body && { body }) }),
    async reloadWithout(connection: 'crm' | 'other') {
      const { connections, grants, ...rest } = JSON.parse(readFileSync(file, 'utf8'))
      const { [connection]: _gone, ...left } = connections
      const others = grants.filter((grant: { connection: string }) => grant.connection !== connection)
      writeFileSync(file, JSON.stringify({ ...rest, connections: left, grants: others }))
      await house.reload('signal')
    },
    /** The names that series have. */
    async named() {
      const text = (await askDoor(house.admin ?? '', { method: 'GET', path: '/metrics', key })).text
      const of = (label: string) =>
        new Set(Array.from(text.matchAll(new RegExp(`[{,]${label}="([^"]*)"`, 'g')), ([, name]) => name))
      return { connections: of('connection'), callers: of('caller') }
    },
  }
}

test('the series of a connection that a reload removes, and of a caller that an operator does, go after a while', async () => {
  const { clock, ask, operate, reloadWithout, named } = await scene()
  const { json } = await operate('POST', '/v1/callers', { name: 'billing' })
  await operate('POST', '/v1/grants', { caller: 'billing', connection: 'crm' })
  await ask('api.crm.test', 'checkout', CALLER_KEY)
  await ask('other.test', 'checkout', CALLER_KEY)
  await ask('api.crm.test', 'billing', String(json['key']))
  await reloadWithout('other')
  await operate('DELETE', '/v1/callers/billing')
  expect(await named()).toEqual({
    connections: new Set(['crm', 'other']),
    callers: new Set(['checkout', 'billing']),
  })
  clock.advance(LINGER_MS)
  expect(await named()).toEqual({ connections: new Set(['crm']), callers: new Set(['checkout']) })
})

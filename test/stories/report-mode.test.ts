import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { helloFor } from '../support/hello.ts'
import { drain, type Peer, startPeer } from '../support/peers.ts'
import { sendRaw, WHOLE_ANSWER } from '../support/raw-client.ts'
import { openRelaxedHouse, type RelaxedHouse } from '../support/relaxed-house.ts'
import { eventually, type Running } from '../support/sallyport.ts'
import { openTunnel, talk } from '../support/tunnel.ts'
import { type RawUpstream, startUpstream } from '../support/upstream.ts'
import { askAdmin, CALLER_KEY, doorOf, PROOF, startCrm, stopCrm } from './crm.ts'

const HOSTS = ['api.crm.test', 'off.test', 'bare.test', 'plain.test', 'passed.test', 'unlisted.test']

let upstream: RawUpstream
let peer: Peer
let relaxed: RelaxedHouse
let strict: Running

beforeAll(async () => {
  upstream = await startUpstream()
  peer = await startPeer((socket) => socket.write('hello'))
  relaxed = await openRelaxedHouse(settingsFor('report'), CALLER_KEY)
  strict = await startCrm({ port: upstream.port, settings: { allowlist: { hosts: ['api.crm.test'], mode: 'report' } } })
})

afterAll(async () => {
  await Promise.all([relaxed?.close(), stopCrm(strict)])
  await Promise.all([upstream?.close(), peer?.close()])
})

function settingsFor(mode: string): object {
  const secret = { kind: 'static', secret: { file: 'unused' } }
  const none = { credential: { kind: 'none' } }
  const rules = [{ methods: ['GET'], paths: ['/v1/**'] }]
  return {
    allowlist: { hosts: ['api.crm.test', 'bare.test', 'plain.test', 'passed.test'], mode },
    callers: { checkout: { kind: 'api-key', key: { file: 'unused' } } },
    connections: {
      crm: { hosts: ['api.crm.test'], port: 9, credential: secret },
      off: { hosts: ['off.test'], port: 9, credential: secret },
      switched: { hosts: ['switched.test'], credential: secret, disabled: true },
      plain: { hosts: ['plain.test'], port: upstream.port, unsafeAllowPlaintextUpstream: true, ...none },
      passed: { hosts: ['passed.test'], port: peer.port, connect: 'tunnel', ...none },
    },
    grants: [
      { caller: 'checkout', connection: 'plain', mode: 'report', rules },
      { caller: 'checkout', connection: 'passed', mode: 'report', rules },
      { caller: 'checkout', connection: 'off' },
    ],
    dns: { hosts: Object.fromEntries(HOSTS.map((host) => [host, ['127.0.0.1']])) },
  }
}

function ask(
  host: string,
  { method = 'GET', path = '/v1/a', fields = PROOF, scheme = 'http', at = relaxed.address } = {},
) {
  const request = `${method} ${scheme}://${host}${path} HTTP/1.1\r\nHost: ${host}\r\n${fields}\r\n`
  return sendRaw(at, request, { until: WHOLE_ANSWER })
}

function latest(): object {
  return relaxed.entries.at(-1) ?? {}
}

describe('the allowlist in report mode', () => {
  test.each([
    ['a host that is not on it', 'unlisted.test', 'host-not-allowed'],
    ['a host that no connection names', 'bare.test', 'connection-missing'],
    ['a host whose connection is not on it', 'off.test', 'host-not-allowed'],
  ])(
    'lets out %s as plain HTTP to the port that was named, without a credential, and records it',
    async (_what, host, code) => {
      const own = 'Authorization: Bearer of-the-caller\r\n'
      const { status } = await ask(`${host}:${upstream.port}`, { fields: PROOF + own, path: `/v1/${host}?q=1` })
      expect(status).toBe(200)
      const head = upstream.heads().find((one) => one.includes(`/v1/${host}?q=1`)) ?? ''
      expect(head.toLowerCase()).toContain(`host: ${host}:${upstream.port}\r\n`)
      expect(head).toContain(own)
      expect(upstream.bytes()).not.toContain(CALLER_KEY)
      expect(latest()).toMatchObject({ decision: 'permit', wouldRefuse: code, host, status: 200 })
      expect(latest()).toMatchObject({
        connection: undefined,
        grant: undefined,
        credential: undefined,
        code: undefined,
      })
    },
  )

  test('lets out a tunnel whose ClientHello names the host of CONNECT, unopened', async () => {
    const { socket } = await openTunnel(relaxed.address, `unlisted.test:${peer.port}`, { fields: PROOF })
    socket.write(await helloFor('unlisted.test'))
    await talk(socket, '', /hello/)
    socket.resetAndDestroy()
    await eventually(() => relaxed.entries.at(-1)?.tunnel, 'the entry of the tunnel')
    expect(latest()).toMatchObject({ tunnel: 'unopened', wouldRefuse: 'host-not-allowed', connection: undefined })
  })

  test('cuts one whose ClientHello names another, or is none', async () => {
    for (const bytes of [await helloFor('other.test'), Buffer.from('GET / HTTP/1.1\r\n\r\n')]) {
      const { socket } = await openTunnel(relaxed.address, `unlisted.test:${peer.port}`, { fields: PROOF })
      onTestFinished(() => void socket.destroy())
      socket.write(bytes)
      expect((await drain(socket)).bytes.toString('latin1')).not.toContain('hello')
    }
    await eventually(
      () => (relaxed.entries.at(-1)?.code === 'tunnel-unfit' ? true : undefined),
      'the entry of the tunnel',
    )
  })

  test.each([
    ['what was asked for as https', 'unlisted.test', { scheme: 'https' }, 403, 'host-not-allowed'],
    ['the host of a connection that is switched off', 'switched.test', {}, 403, 'host-not-allowed'],
    ['a caller that is not known', 'unlisted.test', { fields: '' }, 407, 'caller-unknown'],
    ['a connection without a grant', 'api.crm.test', {}, 403, 'grant-missing'],
    ['TRACE', 'unlisted.test', { method: 'TRACE' }, 405, 'method-not-allowed'],
  ])('still refuses %s', async (_what, host, more, status, code) => {
    const answer = await ask(host, more)
    expect([answer.status, /"code":"([a-z-]+)"/.exec(answer.text)?.[1]]).toEqual([status, code])
  })

  test('never dials a private address, nor a door of ours', async () => {
    const at = doorOf(strict, 'forward')
    for (const host of [`127.0.0.1:${upstream.port}`, '169.254.169.254', '[::1]', at]) {
      const { text } = await ask(host, { at, path: '/inside' })
      expect(text).toContain('"code":"address-not-allowed"')
    }
    const entries = await strict.audit(4)
    expect(entries.map(({ wouldRefuse }) => wouldRefuse)).toEqual(Array(4).fill('host-not-allowed'))
    expect(upstream.bytes()).not.toContain('/inside')
    const { text } = await askAdmin(strict, '/metrics')
    expect(text).toContain('sallyport_would_refuse_total{code="host-not-allowed",connection=""} 4')
  })
})

describe('a grant in report mode', () => {
  test('lets through what matches no rule, and records that', async () => {
    expect((await ask('plain.test', { method: 'POST', path: '/v2/b' })).status).toBe(200)
    expect(latest()).toMatchObject({
      decision: 'permit',
      wouldRefuse: 'rule-not-matched',
      grant: 'grants[0]',
      rule: undefined,
    })
  })

  test('says nothing of what matches', async () => {
    expect((await ask('plain.test')).status).toBe(200)
    expect(latest()).toMatchObject({ decision: 'permit', wouldRefuse: undefined, grant: 'grants[0]', rule: 0 })
  })

  test('opens a tunnel in which nobody could judge its rules', async () => {
    const { socket, status } = await openTunnel(relaxed.address, `passed.test:${peer.port}`, { fields: PROOF })
    expect(status).toBe(200)
    socket.destroy()
    await eventually(() => relaxed.entries.at(-1)?.tunnel, 'the entry of the tunnel')
    expect(latest()).toMatchObject({ wouldRefuse: 'rule-not-matched', connection: 'passed', grant: 'grants[1]' })
  })
})

test('an allowlist that is enforced says so in either form', async () => {
  const house = await openRelaxedHouse(settingsFor('enforce'), CALLER_KEY)
  onTestFinished(() => house.close())
  const { status } = await ask(`unlisted.test:${upstream.port}`, { at: house.address })
  expect([status, house.entries.at(-1)?.wouldRefuse]).toEqual([403, undefined])
})

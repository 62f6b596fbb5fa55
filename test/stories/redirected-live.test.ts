import { once } from 'node:events'
import { type ClientHttp2Session, connect } from 'node:http2'
import type { Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { helloFor } from '../support/hello.ts'
import { canMakeNetworks } from '../support/networks.ts'
import { eventually } from '../support/sallyport.ts'
import { talk } from '../support/tunnel.ts'
import { OK, type Step } from '../support/upstream.ts'
import { openRedirected, PORTS, type RedirectedHouse } from './redirected-house.ts'

const WHOLE = /\r\n\r\nok$/
const STREAM: readonly Step[] = [
  { send: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n' },
  'hang',
]
const HANDSHAKE = [
  'GET /room HTTP/1.1\r\nHost: chat.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n',
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
].join('')

/** Something under way, as its app sees it. */
interface Going {
  readonly connection: string
  ended(): 'clean' | 'reset' | undefined
}

describe.skipIf(!canMakeNetworks())('what is under way through a transparent door', () => {
  let house: RedirectedHouse
  let serial = 0

  beforeAll(async () => {
    house = await openRedirected({
      settings: { store: { kind: 'sqlite', path: 'store.db' }, grants: [], drainTimeoutMs: 10_000 },
    })
  }, 60_000)

  afterAll(async () => house?.close())

  function watch(socket: Socket) {
    let text = ''
    let end: 'clean' | 'reset' | undefined
    onTestFinished(() => void socket.destroy())
    socket.on('error', () => (end = 'reset')).on('close', () => (end ??= 'clean'))
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
    return { text: () => text, ended: () => end }
  }

  function shown(line: { text(): string }, what: RegExp): Promise<unknown> {
    return eventually(() => what.exec(line.text()) ?? undefined, `${what} at the app`)
  }

  function pathOf(steps: readonly Step[]): string {
    const path = `/live/${++serial}`
    house.answers.set(path, steps)
    return path
  }

  async function secured(protocol: string) {
    const socket = house.secure('crm.test', { ALPNProtocols: [protocol] })
    await once(socket, 'secureConnect')
    return socket
  }

  async function sessionOf(): Promise<ClientHttp2Session> {
    const socket = await secured('h2')
    const session = connect('https://crm.test', { createConnection: () => socket })
    onTestFinished(() => session.destroy())
    return session.on('error', () => undefined)
  }

  async function download(socket: Socket): Promise<Going> {
    const line = watch(socket)
    socket.write(`GET ${pathOf(STREAM)} HTTP/1.1\r\nHost: crm.test\r\n\r\n`)
    await shown(line, /first/)
    return { connection: 'crm', ended: line.ended }
  }

  const THINGS = {
    'a download over plain HTTP': () => download(house.app(80)),
    'a download within TLS': async () => download(await secured('http/1.1')),
    'a stream of HTTP/2': async (): Promise<Going> => {
      const stream = (await sessionOf()).request({ ':path': pathOf(STREAM) })
      let isWhole = false
      stream.on('error', () => undefined).on('end', () => (isWhole = !stream.aborted))
      await once(stream, 'data')
      stream.resume()
      return { connection: 'crm', ended: () => (isWhole ? 'clean' : stream.closed ? 'reset' : undefined) }
    },
    'TLS in which nothing was asked': async (): Promise<Going> => {
      const line = watch(await secured('http/1.1'))
      return { connection: 'crm', ended: line.ended }
    },
    'a WebSocket': async (): Promise<Going> => {
      const socket = house.app(80)
      const line = watch(socket)
      socket.write(HANDSHAKE)
      await shown(line, /101 Switching/)
      return { connection: 'chat', ended: line.ended }
    },
    'an unread tunnel': async (): Promise<Going> => {
      const socket = house.app(PORTS.passed)
      const line = watch(socket)
      socket.write(await helloFor('passed.test'))
      await shown(line, /hello/)
      return { connection: 'passed', ended: line.ended }
    },
  }

  async function granted(connection: string): Promise<string> {
    const { json, status } = await house.ask('POST', '/v1/grants', { caller: 'app', connection })
    expect(status).toBe(201)
    return json['id'] ?? 'none'
  }

  describe.each(['its grant is revoked', 'its connection is switched off'])('when %s', (way) => {
    test.each(Object.entries(THINGS))('%s is cut, and recorded so', async (_name, begin) => {
      const ids: Record<string, string> = {}
      for (const connection of ['crm', 'chat', 'passed']) ids[connection] = await granted(connection)
      const going = await begin()
      const { connection } = going
      expect(going.ended()).toBeUndefined()
      if (way.includes('grant')) await house.ask('DELETE', `/v1/grants/${ids[connection]}`)
      else await house.ask('POST', `/v1/connections/${connection}/disable`, { reason: 'a test' })
      // What is cut short must not look as if it were whole.
      expect(await eventually(going.ended, 'its end')).toBe('reset')
      const entry = await house.entry({ code: 'access-revoked', grant: ids[connection] })
      expect(entry).toMatchObject({ caller: 'app', connection, decision: 'permit', ended: 'broken' })
      expect(entry['reason']).toMatch(way.includes('grant') ? /^grant-missing: / : /^connection-disabled: /)
      if (!way.includes('grant')) await house.ask('POST', `/v1/connections/${connection}/enable`)
      for (const name of ['crm', 'chat', 'passed'])
        await house.ask('POST', '/v1/grants/revoke', { caller: 'app', connection: name })
    })
  })

  async function statusOf(host: string): Promise<string> {
    const line = `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`
    const { text } = await talk(house.app(80), line, /\n$|ok$/)
    return /"code":"([^"]+)"/.exec(text)?.[1] ?? text.slice(9, 12)
  }

  test('other settings hold for the next request, cut what they refuse, and leave alone what they allow', async () => {
    const { settings } = house
    const grant = (connection: string) => ({ caller: 'app', connection })
    await house.reload({ ...settings, grants: [grant('crm'), grant('passed')] })
    expect(await statusOf('crm.test')).toBe('200')
    expect(await statusOf('other.test')).toBe('grant-missing')
    const [kept, cut] = [await THINGS['a download within TLS'](), await THINGS['an unread tunnel']()]
    await house.reload({ ...settings, grants: [grant('crm'), grant('other')] })
    expect(await eventually(cut.ended, 'the end of what is refused now')).toBe('reset')
    expect(kept.ended()).toBeUndefined()
    expect([await statusOf('crm.test'), await statusOf('other.test')]).toEqual(['200', '200'])
    await house.reload({ ...settings, grants: [grant('other')], allowlist: ['other.test'] })
    expect(await eventually(kept.ended, 'the end of what is refused at last')).toBe('reset')
    expect([await statusOf('crm.test'), await statusOf('other.test')]).toEqual(['host-not-allowed', '200'])
  })

  test('K07: at SIGTERM what is asked is answered, the rest is closed, and all of it is recorded', async () => {
    await house.reload({
      ...house.settings,
      grants: ['crm', 'chat', 'passed'].map((one) => ({ caller: 'app', connection: one })),
    })
    const before = (await house.sallyport.audit(0)).length
    const release = Promise.withResolvers<void>()
    const slow = [{ wait: release.promise }, ...OK]
    const paths = [pathOf(slow), pathOf(slow), pathOf(slow)]
    const request = (path: string | undefined) => `GET ${path} HTTP/1.1\r\nHost: crm.test\r\n\r\n`
    const plain = talk(house.app(80), request(paths[0]), WHOLE)
    const inside = talk(await secured('http/1.1'), request(paths[1]), WHOLE)
    const stream = (await sessionOf()).request({ ':path': paths[2] })
    const body = stream.setEncoding('utf8').toArray()
    const idle = watch(await secured('h2'))
    const silent = watch(house.app(443))
    const [tunnel, socket] = [await THINGS['an unread tunnel'](), await THINGS['a WebSocket']()]
    for (const path of paths)
      await eventually(() => house.upstream.heads().find((head) => head.includes(` ${path} `)), `${path} upstream`)

    const ended = house.sallyport.stop('SIGTERM')
    await eventually(idle.ended, 'the end of TLS in which nothing is asked')
    expect([tunnel.ended(), socket.ended()]).toEqual([undefined, undefined])
    release.resolve()
    for (const { text } of [await plain, await inside]) expect(text).toMatch(/^HTTP\/1\.1 200 [^]*ok$/)
    expect((await body).join('')).toBe('ok')
    expect(await ended).toBe(0)
    await eventually(() => tunnel.ended() && socket.ended() && silent.ended(), 'the end of all others')
    const entries = (await house.sallyport.audit(before + 9)).slice(before)
    for (const path of paths)
      expect(entries.filter((entry) => entry['path'] === path)).toMatchObject([{ status: 200, ended: 'complete' }])
    expect(entries.filter((entry) => entry['tunnel'] === 'unopened')).toMatchObject([{ ended: 'gone' }])
    expect(entries.filter((entry) => entry['path'] === '/room')).toMatchObject([{ status: 101 }])
    expect(new Set(entries.map(({ id }) => id)).size).toBe(entries.length)
  })
})

import { once } from 'node:events'
import type { Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { helloFor } from '../support/hello.ts'
import { canMakeNetworks } from '../support/networks.ts'
import { eventually } from '../support/sallyport.ts'
import { talk } from '../support/tunnel.ts'
import { APP_UID } from './redirected.ts'
import { openRedirected, PORTS, type RedirectedHouse } from './redirected-house.ts'

const WHOLE = /\r\n\r\nok$|\}\n$/
/** The rules send it to the same door. */
const NEIGHBOUR_UID = 1005
const MAX_SOCKETS = 8

describe.skipIf(!canMakeNetworks())('of too many at a transparent door', () => {
  let house: RedirectedHouse

  beforeAll(async () => {
    house = await openRedirected({
      connection: { limits: { maxConcurrent: 3, maxTunnels: 2 } },
      settings: {
        listeners: [{ kind: 'transparent', listen: '127.0.0.1:15002', caller: 'app', maxSockets: MAX_SOCKETS }],
        callers: { app: { kind: 'socket' } },
        grants: ['crm', 'chat', 'passed'].map((connection) => ({ caller: 'app', connection })),
        admin: { listen: 'unix:admin.sock' },
      },
    })
  }, 60_000)

  afterAll(async () => house?.close())

  async function metric(name: string): Promise<number> {
    const { text } = await house.ask('GET', '/metrics')
    return Number(new RegExp(`^${name}\\{[^}]*door="transparent"[^}]*\\} (\\d+)$`, 'm').exec(text)?.[1] ?? 0)
  }

  const refused = () => metric('sallyport_sockets_refused_total')
  const isClosed = (socket: Socket) => socket.closed

  function hang(uid: number, port: number = 80): Socket {
    return house.app(port, { uid }).resume()
  }

  async function statusOf(uid: number, path: string): Promise<string> {
    const socket = house.app(80, { uid })
    const { text } = await talk(socket, `GET ${path} HTTP/1.1\r\nHost: crm.test\r\n\r\n`, WHOLE)
    socket.destroy()
    return text.slice(9, 12)
  }

  test('whoever has most loses the newest, by the user that the kernel tells, and nobody else is kept out', async () => {
    const greedy = Array.from({ length: 20 }, (_, at) => hang(APP_UID, at % 2 === 0 ? 80 : PORTS.crm))
    await eventually(() => (greedy.filter(isClosed).length === 12 ? true : undefined), 'twelve to be closed')
    const modest = hang(NEIGHBOUR_UID)
    await eventually(() => (greedy.filter(isClosed).length === 13 ? true : undefined), 'one more to be closed')
    for (const at of [1, 2, 3]) expect(await statusOf(NEIGHBOUR_UID, `/modest/${at}`)).toBe('200')
    expect(modest.closed).toBe(false)
    expect(await refused()).toBeGreaterThan(12)
    expect(house.sallyport.output()).toMatch(/too many sockets at a door/)
    for (const socket of [...greedy, modest]) socket.destroy()
    await eventually(
      async () => ((await statusOf(APP_UID, '/again')) === '200' ? true : undefined),
      'a place to be free',
    )
  })

  test('I07: requests and opened TLS are as many as the connection says, and places come free', async () => {
    house.answers.set('/held', ['hang'])
    const held = [1, 2, 3].map(() => house.app(80))
    for (const socket of held) socket.resume().write('GET /held HTTP/1.1\r\nHost: crm.test\r\n\r\n')
    const upstream = () => house.upstream.heads().filter((head) => head.includes(' /held ')).length
    await eventually(() => (upstream() === 3 ? true : undefined), 'three requests in flight')
    expect(await statusOf(APP_UID, '/over')).toBe('429')
    for (const socket of held) socket.destroy()
    await eventually(
      async () => ((await statusOf(APP_UID, '/free')) === '200' ? true : undefined),
      'a place to be free',
    )

    const open = [house.secure('crm.test'), house.secure('crm.test')]
    for (const socket of open) await eventually(() => socket.authorized || undefined, 'opened TLS')
    const over = house.secure('crm.test')
    await eventually(() => (over.closed ? true : undefined), 'the refusal of a third')
    expect(over.authorized).toBe(false)
    expect(await house.entry({ code: 'too-many-requests', method: 'CONNECT' })).toMatchObject({ caller: 'app' })
    open[0]?.destroy()
    await eventually(async () => {
      const next = house.secure('crm.test')
      await eventually(() => next.authorized || next.closed || undefined, 'an end of the handshake')
      return next.authorized || undefined
    }, 'a place to be free')
  })

  test('an app whose own port is that of a connection of ours as well, to somewhere else, is not taken for us', async () => {
    const ours = house.app(PORTS.passed)
    await once(ours, 'connect')
    // One port is all there is from now on, and the kernel gives it to both: a connection is its two ends, and not one of them.
    const range = '/proc/sys/net/ipv4/ip_local_port_range'
    house.networks.pod.run('/bin/sh', '-c', `echo 40000 40000 > ${range}`)
    onTestFinished(() => void house.networks.pod.run('/bin/sh', '-c', `echo 32768 60999 > ${range}`))
    ours.resume().write(await helloFor('passed.test'))
    await eventually(() => house.passed.sockets.find(({ remotePort }) => remotePort === 40_000), 'our own connection')
    const socket = house.app(80, { address: '198.51.100.9' })
    const { text } = await talk(socket, 'GET /same-port HTTP/1.1\r\nHost: crm.test\r\n\r\n', WHOLE)
    expect([text.slice(9, 12), socket.localPort]).toEqual(['200', 40_000])
    expect(house.sallyport.output()).not.toMatch(/a socket of our own was redirected/)
  })
})

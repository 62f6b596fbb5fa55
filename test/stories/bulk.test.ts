import { afterAll, beforeAll, expect, test } from 'vitest'
import { open } from '../support/raw-client.ts'
import type { Running } from '../support/sallyport.ts'
import { authority, connectionTo, doorOf, PROOF, reverseRequest, startCrm, stopCrm } from './crm.ts'
import { exchangeZeros, type Flood, MiB, memoryOf, settled, startFlood } from './flood.ts'

const GiB = 1024 * MiB

let flood: Flood
let sallyport: Running

beforeAll(async () => {
  flood = await startFlood(await authority.issue(['flood.test']))
  sallyport = await startCrm({
    port: flood.port,
    settings: {
      listeners: [
        { kind: 'forward', listen: '127.0.0.1:0' },
        { kind: 'reverse', listen: 'unix:flood.sock' },
      ],
      allowlist: ['*.test'],
      connections: { flood: connectionTo('flood.test', flood.port) },
      grants: [{ caller: 'checkout', connection: 'flood' }],
      dns: { hosts: { 'flood.test': ['127.0.0.1'] } },
    },
  })
})

afterAll(async () => {
  await stopCrm(sallyport)
  await flood?.close()
})

type DoorKind = 'forward' | 'reverse'
const DOORS: readonly DoorKind[] = ['forward', 'reverse']

function door(kind: DoorKind): string {
  return doorOf(sallyport, kind)
}

function askFlood(kind: DoorKind, method: string, path: string, more = '\r\n'): string {
  if (kind === 'reverse') return reverseRequest(method, `/flood${path}`, `Connection: close\r\n${more}`)
  return `${method} http://flood.test${path} HTTP/1.1\r\nHost: flood.test\r\nConnection: close\r\n${PROOF}${more}`
}

test.each(DOORS)(
  'a gibibyte each way moves through the %s door with flat memory',
  async (kind) => {
    await warmUp(kind)
    const before = memoryOf(sallyport.pid, 'VmHWM')
    const down = await exchangeZeros(door(kind), askFlood(kind, 'GET', `/${GiB}`), 0)
    expect(down).toEqual({ status: 200, bytesDown: GiB })
    const receivedBefore = flood.received()
    const up = await exchangeZeros(door(kind), askFlood(kind, 'POST', '/', `Content-Length: ${GiB}\r\n\r\n`), GiB)
    expect(up.status).toBe(200)
    expect(flood.received() - receivedBefore).toBe(GiB)
    expect(memoryOf(sallyport.pid, 'VmHWM') - before).toBeLessThan(64 * MiB)
  },
  180_000,
)

/** Buffers that wait for the garbage collector are a plateau, and not a growth: first it is reached. */
async function warmUp(kind: DoorKind): Promise<void> {
  const size = 192 * MiB
  await exchangeZeros(door(kind), askFlood(kind, 'GET', `/${size}`), 0)
  await exchangeZeros(door(kind), askFlood(kind, 'POST', '/', `Content-Length: ${size}\r\n\r\n`), size)
}

test.each(DOORS)('a caller of the %s door that does not read holds the upstream back', async (kind) => {
  const before = flood.written()
  const socket = open(door(kind)).pause()
  socket.write(askFlood(kind, 'GET', `/${GiB}`))
  const ahead = await settled(() => flood.written() - before)
  expect(ahead).toBeLessThan(32 * MiB)
  socket.destroy()
})

test.each(DOORS)('an upstream that does not read holds the caller of the %s door back', async (kind) => {
  const socket = open(door(kind))
  socket.write(askFlood(kind, 'POST', '/unread', `Content-Length: ${GiB}\r\n\r\n`))
  const chunk = Buffer.alloc(MiB)
  const push = () => {
    while (socket.write(chunk)) {}
  }
  socket.on('drain', push).on('error', () => undefined)
  push()
  expect(await settled(() => socket.bytesWritten)).toBeLessThan(32 * MiB)
  socket.destroy()
})

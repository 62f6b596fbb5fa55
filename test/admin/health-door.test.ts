import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { connect, type Socket } from 'node:net'
import { Gauge, Registry } from 'prom-client'
import { expect, onTestFinished, test } from 'vitest'
import { HealthDoor } from '../../src/admin/health-door.ts'
import { sendRaw } from '../support/raw-client.ts'

const SCRAPE = 'GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n'

/** More than the buffers of a socket. */
const MUCH = 'x'.repeat(16 * 1024 * 1024)

/** A door whose metrics take until `release`, and which counts how often they are gathered. */
async function stage(help = 'what it costs to be asked') {
  const { promise: released, resolve: release } = Promise.withResolvers<void>()
  let scrapes = 0
  const metrics = new Registry()
  const gauge = new Gauge({
    name: 'costly',
    help,
    registers: [metrics],
    async collect() {
      scrapes += 1
      await released
      this.set(scrapes)
    },
  })
  expect(gauge).toBeDefined()
  const comers: Socket[] = []
  const door = new HealthDoor({ listen: '127.0.0.1:0', directory: '/', metrics, isReady: () => true })
  const address = await door.open()
  onTestFinished(() => door.close())
  // What Node tells of every socket that a server of this process accepts.
  const tell = (message: unknown) => {
    const { socket } = message as { readonly socket: Socket } // as Node documents `net.server.socket`
    if (address.endsWith(`:${socket.localPort}`)) comers.push(socket)
  }
  subscribe('net.server.socket', tell)
  onTestFinished(() => void unsubscribe('net.server.socket', tell))
  return { address, release, scrapes: () => scrapes, comers: () => comers.length, first: () => comers[0] }
}

test('a thousand scrapes in one packet are one', async () => {
  const { address, release, scrapes } = await stage()
  release()
  const { text } = await sendRaw(address, SCRAPE.repeat(1000))
  expect(text.match(/^costly \d+$/gm)).toEqual(['costly 1'])
  expect(text).toMatch(/^Connection: close\r$/m)
  expect(scrapes()).toBe(1)
})

test('scrapes at the same time are the work of one, and the next one is anew', async () => {
  const { address, release, scrapes, comers } = await stage()
  const all = Array.from({ length: 20 }, () => sendRaw(address, SCRAPE))
  await expect.poll(comers, { timeout: 20_000 }).toBe(20)
  release()
  for (const { text } of await Promise.all(all)) expect(text).toMatch(/^costly \d+$/m)
  expect(scrapes()).toBeLessThan(20)
  const before = scrapes()
  expect((await sendRaw(address, SCRAPE)).text).toContain(`costly ${before + 1}`)
})

test('who reads nothing of an answer does not keep its connection for ever', async () => {
  const { address, release, scrapes, first } = await stage(MUCH)
  release()
  const [host = '', port = ''] = address.split(':')
  const idle = connect(Number(port), host).pause()
  onTestFinished(() => void idle.destroy())
  idle.on('error', () => undefined).write(SCRAPE)
  await expect.poll(scrapes, { timeout: 20_000 }).toBe(1)
  await expect.poll(() => first()?.closed, { timeout: 20_000 }).toBe(true)
})

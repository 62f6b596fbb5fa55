import { Gauge, Registry } from 'prom-client'
import { expect, onTestFinished, test } from 'vitest'
import { HealthDoor } from '../../src/admin/health-door.ts'
import { sendRaw } from '../support/raw-client.ts'

const SCRAPE = 'GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n'

/** A door whose metrics take until `release`, and which counts how often they are gathered. */
async function stage() {
  const { promise: released, resolve: release } = Promise.withResolvers<void>()
  let scrapes = 0
  const metrics = new Registry()
  const gauge = new Gauge({
    name: 'costly',
    help: 'what it costs to be asked',
    registers: [metrics],
    async collect() {
      scrapes += 1
      await released
      this.set(scrapes)
    },
  })
  expect(gauge).toBeDefined()
  let comers = 0
  const admit = () => {
    comers += 1
    return true
  }
  const door = new HealthDoor({ listen: '127.0.0.1:0', directory: '/', metrics, isReady: () => true, admit })
  const address = await door.open()
  onTestFinished(() => door.close())
  return { address, release, scrapes: () => scrapes, comers: () => comers }
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
  await expect.poll(comers).toBe(20)
  release()
  for (const { text } of await Promise.all(all)) expect(text).toMatch(/^costly \d+$/m)
  expect(scrapes()).toBeLessThan(20)
  const before = scrapes()
  expect((await sendRaw(address, SCRAPE)).text).toContain(`costly ${before + 1}`)
})

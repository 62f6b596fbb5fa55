import { Agent, request } from 'node:http'
import { createServer } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { eventually } from '../support/sallyport.ts'
import { askAdmin, CALLER_KEY, doorOf } from './crm.ts'
import { startTraced, type TracedSite } from './traced.ts'

const ASKS = 4_000
const AT_ONCE = 16
const MAX_QUEUE = 100

/** What a sidecar says of itself. */
async function metricsOf({ running }: TracedSite) {
  const { text } = await askAdmin(running, '/metrics')
  const value = (name: string) =>
    Number(new RegExp(`^${name.replace(/[{}]/g, '\\$&')} (\\S+)`, 'm').exec(text)?.[1] ?? 0)
  return {
    dropped: (reason: string) => value(`sallyport_spans_dropped_total{reason="${reason}"}`),
  }
}

/** So many asks, some at once, each on a connection that is kept; how many were answered with 200. */
async function askMany({ running }: TracedSite, count: number): Promise<number> {
  const [host = '', port = ''] = doorOf(running, 'forward').split(':')
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE })
  const authorization = `Basic ${Buffer.from(`checkout:${CALLER_KEY}`).toString('base64')}`
  const headers = { host: 'said.crm.test', 'proxy-authorization': authorization }
  const ask = () =>
    new Promise<number>((resolve, reject) => {
      const path = `http://said.crm.test/v1/${'long'.repeat(100)}`
      request({ host, port, path, headers, agent }, (response) => {
        response.resume().once('end', () => resolve(response.statusCode ?? 0))
      })
        .once('error', reject)
        .end()
    })
  const statuses = await Promise.all(Array.from({ length: count }, ask))
  agent.destroy()
  return statuses.filter((status) => status === 200).length
}

/** Takes connections, and says nothing. */
async function startSilence(): Promise<number> {
  const server = createServer((socket) => socket.on('error', () => undefined))
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  onTestFinished(() => void server.close())
  return (server.address() as { port: number }).port // a TCP server has an address of this form
}

test.each(['is away', 'is silent'])(
  'a collector that %s the whole time fails no ask, and no more wait for it than may',
  async (how) => {
    const port = how === 'is silent' ? await startSilence() : 1
    const site = await startTraced({
      traces: {
        endpoint: `http://127.0.0.1:${port}/v1/traces`,
        maxQueue: MAX_QUEUE,
        maxBatch: 10,
        timeoutMs: 500,
        sampler: { maxPerSecond: 100_000 },
      },
      settings: { drainTimeoutMs: 300 },
    })
    onTestFinished(() => site.close())
    expect(await askMany(site, ASKS)).toBe(ASKS)
    const after = await metricsOf(site)
    // Each ask has two spans. Some are in the queue, and a batch may be on its way.
    const all = 2 * ASKS
    expect(after.dropped('queue')).toBeLessThanOrEqual(all)
    expect(after.dropped('queue')).toBeGreaterThanOrEqual(all - MAX_QUEUE - 10)
    expect(site.running.output().match(/traces cannot be sent/g)?.length).toBe(1)
    expect(await site.running.stop()).toBe(0)
  },
)

test('what a caller forces by its flag is bounded, and what is above it is counted', async () => {
  const site = await startTraced({ traces: { sampler: { ratio: 0, maxPerSecond: 5 } } })
  onTestFinished(() => site.close())
  const { running, collector } = site
  const [host = '', port = ''] = doorOf(running, 'forward').split(':')
  const headers = {
    host: 'said.crm.test',
    'proxy-authorization': `Basic ${Buffer.from(`checkout:${CALLER_KEY}`).toString('base64')}`,
    traceparent: '00-ffffffffffffffffffffffffffffffff-ffffffffffffffff-01',
  }
  const started = performance.now()
  for (let at = 0; at < 100; at++) {
    await new Promise<void>((done, fail) => {
      const sent = request({ host, port, path: 'http://said.crm.test/', headers }, (answer) =>
        answer.resume().once('end', done),
      )
      sent.once('error', fail).end()
    })
  }
  const most = 5 + Math.ceil(((performance.now() - started) / 1000) * 5) + 1
  const limited = await eventually(async () => (await metricsOf(site)).dropped('rate') || undefined, 'the count')
  await running.stop()
  const servers = collector.spans.filter(({ kind }) => kind === 2)
  expect(servers.length).toBeLessThanOrEqual(most)
  expect(servers.length + limited).toBe(100)
})

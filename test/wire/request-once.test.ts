import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { type AddressInfo, BlockList } from 'node:net'
import { createSecureContext } from 'node:tls'
import { expect, onTestFinished, test } from 'vitest'
import { createDialer } from '../../src/wire/dial.ts'
import { requestOnce } from '../../src/wire/request-once.ts'
import { createResolver } from '../../src/wire/resolve.ts'
import { eventually } from '../support/sallyport.ts'

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8)
const dialer = createDialer({
  resolver: createResolver({ hosts: { 'login.test': ['127.0.0.1'] } }),
  isOwnListener: () => false,
})
const route = { dialer, trust: createSecureContext(), allowPrivate: loopback, timeoutMs: 5_000 }

/** An issuer that answers when it is told to. */
async function startIssuer() {
  const held: ServerResponse[] = []
  const server = createServer((_, response) => held.push(response))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo // a TCP server has an address of this form
  const ask = (signal = AbortSignal.timeout(20_000)) =>
    requestOnce(route, { url: new URL(`http://login.test:${port}/token`), method: 'GET', headers: {}, signal })
  return { held, ask }
}

test('J23: an issuer has sixteen questions to answer at a time, and the others wait their turn', async () => {
  const { held, ask } = await startIssuer()
  const asked = Array.from({ length: 50 }, () => ask())
  let most = 0
  for (let answered = 0; answered < 50; answered++) {
    await eventually(() => held.length > 0 || undefined, 'a question')
    if (answered === 0) await eventually(() => held.length === 16 || undefined, 'sixteen questions')
    most = Math.max(most, held.length)
    held.shift()?.end('{}')
  }
  expect((await Promise.all(asked)).map(({ status }) => status)).toEqual(Array(50).fill(200))
  expect(most).toBe(16)
})

test('whoever waits longer than its question may take is told so, and the others go on', async () => {
  const { held, ask } = await startIssuer()
  const asked = Array.from({ length: 16 }, () => ask())
  await eventually(() => held.length === 16 || undefined, 'sixteen questions')
  const impatient = new AbortController()
  const late = ask(impatient.signal)
  const last = ask()
  impatient.abort(new DOMException('too long', 'TimeoutError'))
  await expect(late).rejects.toThrow(/^16 exchanges with login\.test:\d+ took all the time there was$/)
  for (const response of held) response.end('{}')
  await Promise.all(asked)
  await eventually(() => held.length === 17 || undefined, 'the last question')
  held.at(-1)?.end('{}')
  expect((await last).status).toBe(200)
})

test('an origin whose exchanges all fail keeps nobody waiting', async () => {
  const url = new URL('http://login.test:1/token')
  const question = { url, method: 'GET', headers: {}, signal: AbortSignal.timeout(20_000) } as const
  const refused = await Promise.allSettled(Array.from({ length: 40 }, () => requestOnce(route, question)))
  expect(refused.map((one) => one.status === 'rejected' && String(one.reason))).toEqual(
    Array(40).fill(expect.stringMatching(/ECONNREFUSED/)),
  )
})

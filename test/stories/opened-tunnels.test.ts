import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually, type Running } from '../support/sallyport.ts'
import { openTunnel } from '../support/tunnel.ts'
import { type RawUpstream, startUpstream } from '../support/upstream.ts'
import { PROOF, startCrm, stopCrm } from './crm.ts'

let upstream: RawUpstream
let sallyport: Running

beforeAll(async () => {
  upstream = await startUpstream()
  const connection = { limits: { maxTunnels: 3 } }
  sallyport = await startCrm({ port: upstream.port, connection, settings: { ca: 'ephemeral' } })
})

afterAll(async () => {
  await stopCrm(sallyport)
  await upstream.close()
})

function tunnel() {
  return openTunnel(sallyport.doors[0]?.address ?? '', `api.crm.test:${upstream.port}`, { fields: PROOF })
}

test('I07 opened tunnels are as many as the connection says, for each caller, and the place of a closed one is free', async () => {
  const open = await Promise.all([tunnel(), tunnel(), tunnel()])
  expect(open.map(({ status }) => status)).toEqual([200, 200, 200])
  const { status, text } = await tunnel()
  expect(status).toBe(429)
  expect(text).toMatch(/^Retry-After: 1\r$/m)
  open[0]?.socket.destroy()
  const another = await eventually(async () => {
    const next = await tunnel()
    return next.status === 200 ? next : undefined
  }, 'a place to be free')
  for (const { socket } of [...open, another]) socket.destroy()
})

import { afterAll, beforeAll, expect, test } from 'vitest'
import { sendRaw } from '../support/raw-client.ts'
import { privateDirectory, type Running, remove, startSallyport } from '../support/sallyport.ts'

const HOST = 'api.crm.test'
let running: Running

beforeAll(async () => {
  running = await startSallyport(privateDirectory(), {
    listeners: [
      { kind: 'forward', listen: 'unix:forward.sock', caller: 'neighbour' },
      { kind: 'reverse', listen: 'unix:reverse.sock', caller: 'neighbour', connection: 'crm' },
    ],
    allowlist: [HOST],
    callers: { neighbour: { kind: 'socket' } },
    connections: { crm: { hosts: [HOST], credential: { kind: 'none' } } },
    grants: [{ caller: 'neighbour', connection: 'crm' }],
  })
})

afterAll(async () => {
  await running?.stop()
  if (running) remove(running.directory)
})

test('a tunnel is refused to a known caller at either door, and the record says who wanted to go where', async () => {
  for (const { address } of running.doors) {
    const { status, text } = await sendRaw(address, `CONNECT ${HOST}:443 HTTP/1.1\r\nHost: ${HOST}:443\r\n\r\n`)
    expect(status).toBe(403)
    expect(text).toMatch(/^HTTP\/1\.1 403 CONNECT is not open here\r\n/)
  }
  const wanted = { method: 'CONNECT', host: HOST, caller: 'neighbour', proof: 'socket', code: 'connect-refused' }
  expect(await running.audit(2)).toMatchObject([wanted, wanted])
})

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connectGrpc, type GrpcClient, type GrpcServer, startGrpc } from '../support/grpc.ts'
import type { Running } from '../support/sallyport.ts'
import { authority, CALLER_KEY, CREDENTIAL, doorOf, startCrm, stopCrm } from './crm.ts'

let server: GrpcServer
let running: Running
let client: GrpcClient

/** It says again what it was shown, in a message or, where it is refused, in a trailer. */
beforeAll(async () => {
  server = await startGrpc(await authority.issue(['api.crm.test']), {
    say: (call: ServerUnaryCall<string, string>, done: sendUnaryData<string>) => {
      const shown = String(call.metadata.get('authorization'))
      if (call.request === 'refused') done({ code: status.NOT_FOUND, details: `no such word: ${shown} ü` })
      else done(null, `${call.request}: ${shown}`)
    },
  })
  running = await startCrm({
    port: server.port,
    connection: { http2: true, scrubResponses: true },
    settings: { ca: { directory: 'ca' } },
  })
  process.env['grpc_proxy'] = `http://checkout:${CALLER_KEY}@${doorOf(running, 'forward')}`
  client = connectGrpc(`api.crm.test:${server.port}`, readFileSync(join(running.directory, 'ca', 'ca.pem'), 'utf8'))
})

afterAll(async () => {
  delete process.env['grpc_proxy']
  client?.close()
  server?.stop()
  await stopCrm(running)
})

test('over HTTP/2 on both sides the credential comes back neither in a message nor in a trailer', async () => {
  const masked = '*'.repeat(CREDENTIAL.length)
  expect(await client.say('hello')).toBe(`hello: Bearer ${masked}`)
  await expect(client.say('refused')).rejects.toMatchObject({
    code: status.NOT_FOUND,
    details: `no such word: Bearer ${masked} ü`,
  })
})

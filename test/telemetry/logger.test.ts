import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { expect, test } from 'vitest'
import { describe } from '../../src/telemetry/logger.ts'
import { makeSelfSigned } from '../support/certificates.ts'

const module = new URL('../../src/telemetry/logger.ts', import.meta.url).href

test('I13: a log that cannot be written, because the disk is full, ends nothing', async () => {
  const script = `const { createLogger } = await import('${module}'); const log = createLogger('info')
    for (let line = 0; line < 100; line++) { log.warn({}, 'a line'); await new Promise((done) => setImmediate(done)) }
    console.log('alive')`
  // The kernel's own full disk.
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', openSync('/dev/full', 'w')],
  })
  let out = ''
  child.stdout?.on('data', (chunk: Buffer) => (out += chunk))
  expect(await once(child, 'close')).toEqual([0, null])
  expect(out).toBe('alive\n')
})

test('an error of a chain that cannot be verified is told without what Node would have done about it', async () => {
  const { key, cert } = await makeSelfSigned(['localhost'])
  const server = createServer({ key, cert }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client: TLSSocket = connect({ port: (server.address() as AddressInfo).port, servername: 'localhost' })
  const [error] = await once(client, 'error')
  server.close()
  // Node gives it still, so that there is something to leave out.
  expect(error.message).toContain('--use-system-ca')
  expect(describe(error)).toMatch(/^self-signed certificate[^;]* \[DEPTH_ZERO_SELF_SIGNED_CERT\]$/)
})

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:tls'
import type { Identity } from '../support/certificates.ts'

/** Bytes of each answer's body. */
export const BODY_BYTES = 1024

/** An upstream that costs as little as TLS allows: the same bytes for every request head. Resolves to its port. */
export async function startBenchUpstream(identity: Identity): Promise<number> {
  const head = `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${BODY_BYTES}\r\n\r\n`
  const answer = Buffer.concat([Buffer.from(head), Buffer.alloc(BODY_BYTES, 'x')])
  const server = createServer({ ...identity, ALPNProtocols: ['http/1.1'] }, (socket) => {
    socket.setNoDelay(true)
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => {
      if (chunk.toString('latin1').endsWith('\r\n\r\n')) socket.write(answer)
    })
  })
  server.listen(0, '127.0.0.1').unref()
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

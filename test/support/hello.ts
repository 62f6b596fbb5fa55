import { duplexPair } from 'node:stream'
import { type ConnectionOptions, connect } from 'node:tls'

/** A real ClientHello for this server name, byte for byte, whether a client would send it or not. */
export async function helloFor(name: string | undefined, options: ConnectionOptions = {}): Promise<Buffer> {
  const [near, far] = duplexPair()
  const standIn = 'x'.repeat(name?.length ?? 0)
  const client = connect({ socket: near, servername: standIn, ...options })
  client.on('error', () => undefined)
  const bytes = await new Promise<Buffer>((resolve) => far.once('data', resolve))
  client.destroy()
  if (name !== undefined) bytes.write(name, bytes.indexOf(standIn), 'latin1')
  return bytes
}

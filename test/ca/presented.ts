import type { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { type ConnectionOptions, connect, type SecureContext, type TLSSocket } from 'node:tls'
import { present } from './verifiers.ts'

/** The certificate that a client sees, believed or not. */
export async function presentedBy(context: SecureContext): Promise<X509Certificate> {
  const socket = await handshake(await present(context))
  const certificate = socket.getPeerX509Certificate()
  socket.destroy()
  if (!certificate) throw new Error('no certificate was presented')
  return certificate
}

/** A client that looks at no certificate. Rejects with what TLS failed for. */
export async function handshake(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options })
  await once(socket, 'secureConnect')
  return socket
}

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { type SecureContext, TLSSocket } from 'node:tls'
import { shakeHands } from '../../listeners/handshake.ts'
import { http } from '../../wire/node-http.ts'

/** How the TLS of one client ended: with a request, or with what it thought of the certificate, in words. */
export type Verdict = 'trusts' | { readonly says: string }

/** A proxy on loopback for one client, which answers every tunnel itself, as an intercepting sidecar would. */
export interface ProbeProxy {
  readonly port: number
  /** What came of each tunnel so far; waits for those that are open. */
  verdicts(): Promise<readonly Verdict[]>
  close(): void
}

const HANDSHAKE_MS = 8_000

/** Starts it. `context` is what it shows as `host`. Nothing it is asked for leaves this machine. */
export async function openProbeProxy(host: string, context: SecureContext): Promise<ProbeProxy> {
  const verdicts: Promise<Verdict>[] = []
  const sockets = new Set<Duplex>()
  const proxy = http.createServer((_request, response) => response.writeHead(404, CLOSE).end())
  proxy.on('connect', (_request, socket) => {
    sockets.add(socket)
    verdicts.push(judge(socket, host, context))
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  return {
    port: (proxy.address() as AddressInfo).port, // a TCP server has an address of this form
    verdicts: () => Promise.all(verdicts),
    close() {
      proxy.close()
      proxy.closeAllConnections()
      for (const socket of sockets) socket.destroy()
    },
  }
}

/** So that no client keeps an answer that is worth nothing. */
const CLOSE = { 'content-length': '0', connection: 'close' }

/** Not every client sends an alert. */
const UNSAID = 'the client did not go on with our certificate'

async function judge(socket: Duplex, host: string, secureContext: SecureContext): Promise<Verdict> {
  socket.on('error', () => undefined)
  socket.write('HTTP/1.1 200 OK\r\n\r\n')
  const secured = new TLSSocket(socket, { isServer: true, secureContext, ALPNProtocols: ['http/1.1'] })
  // Of a server's socket it is true, and then a client that hangs up, as Node does, is not noticed until time is up.
  secured.allowHalfOpen = false
  const problem = await shakeHands(secured, host, HANDSHAKE_MS)
  if (!problem) return firstRequest(secured)
  return { says: problem.code === 'certificate-rejected' ? problem.reason : `${UNSAID}: ${problem.reason}` }
}

/** GnuTLS as wget uses it ends the handshake first, and looks at the certificate then. */
function firstRequest(secured: TLSSocket): Promise<Verdict> {
  return new Promise((resolve) => {
    secured.once('close', () => resolve({ says: `${UNSAID}: closed without a request` }))
    const server = http.createServer((_request, response) => {
      resolve('trusts')
      response.writeHead(404, CLOSE).end()
    })
    server.emit('connection', secured)
  })
}

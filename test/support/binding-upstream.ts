import { createHash, hash } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import type { Identity } from './certificates.ts'

/** One request as it was judged. */
export interface Judged {
  /** `1.1`, `2.0`, or `websocket`. */
  readonly by: string
  /** Why it was refused; undefined: the token is bound to the certificate of its connection. */
  readonly fault: string | undefined
  /** SHA-256 of that certificate, base64url. */
  readonly thumbprint: string
}

/** An upstream that takes a token from whoever it is bound to, and from nobody else. @see RFC 8705 section 3 */
export interface BindingUpstream {
  readonly port: number
  readonly judged: readonly Judged[]
  /** Connections that were opened so far. */
  connections(): number
  stop(): Promise<void>
}

interface Parts {
  readonly identity: Identity
  /** PEM of the authority of its clients: without a certificate of it no connection is opened. */
  readonly clientCa: string
  /** With which the tokens are signed. */
  readonly keys: JSONWebKeySet
}

/** Starts it on 127.0.0.1; it speaks HTTP/1.1, HTTP/2 and WebSocket handshakes. */
export async function startBindingUpstream({ identity, clientCa, keys }: Parts): Promise<BindingUpstream> {
  const judged: Judged[] = []
  const sockets = new Set<Socket>()
  const jwks = createLocalJWKSet(keys)
  async function judge(authorization: string, socket: unknown, by: string): Promise<boolean> {
    const raw = socket instanceof TLSSocket ? socket.getPeerX509Certificate()?.raw : undefined
    const thumbprint = raw ? hash('sha256', raw, 'base64url') : ''
    const fault = await jwtVerify(authorization.replace(/^Bearer /, ''), jwks).then(
      ({ payload }) => (boundTo(payload['cnf']) === thumbprint ? undefined : 'bound to another certificate'),
      () => 'not a token of ours',
    )
    judged.push({ by, fault, thumbprint })
    return fault === undefined
  }
  async function serve(request: Http2ServerRequest | IncomingMessage, response: Http2ServerResponse): Promise<void> {
    const { headers, httpVersion } = request
    const socket = 'stream' in request ? request.stream.session?.socket : request.socket
    const isGood = await judge(headers.authorization ?? '', socket, httpVersion)
    const body = isGood ? 'bound' : 'unbound'
    response.writeHead(isGood ? 200 : 401, { 'content-length': body.length }).end(body)
  }
  const server = createSecureServer(
    {
      key: identity.key,
      cert: identity.cert,
      allowHTTP1: true,
      ca: clientCa,
      requestCert: true,
      rejectUnauthorized: true,
    },
    (request, response) => void serve(request, response),
  )
  async function upgrade({ headers }: IncomingMessage, socket: Socket): Promise<void> {
    const key = `${headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`
    const accept = createHash('sha1').update(key).digest('base64')
    const switching = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`
    const isGood = await judge(headers.authorization ?? '', socket, 'websocket')
    socket.end(isGood ? switching : 'HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
  }
  server.on('upgrade', (request: IncomingMessage, socket: Socket) => void upgrade(request, socket))
  let opened = 0
  server.on('secureConnection', (socket) => {
    opened += 1
    sockets.add(socket)
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
  })
  server.on('tlsClientError', () => undefined).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port, // a TCP server has an address of this form
    judged,
    connections: () => opened,
    async stop() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function boundTo(confirmation: unknown): unknown {
  return typeof confirmation === 'object' && confirmation !== null && 'x5t#S256' in confirmation
    ? confirmation['x5t#S256']
    : undefined
}

import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import tls from 'node:tls'

/** What an upstream does with one request: bytes to send, pauses until released, or an end. */
export type Step = { readonly send: string | Buffer } | 'fin' | 'reset' | 'hang' | { readonly wait: Promise<unknown> }

/** One connection as the upstream saw it, raw. */
export interface Recorded {
  readonly id: number
  bytes: string
  closed: boolean
}

/** A raw upstream: it records every byte, and answers as its script says. */
export interface RawUpstream {
  readonly port: number
  readonly connections: readonly Recorded[]
  /** All bytes of all connections. */
  bytes(): string
  /** The heads of all requests seen, in order. */
  heads(): string[]
  close(): Promise<void>
}

type Script = (request: string, index: number) => readonly Step[]

/** The usual answer. */
export const OK: readonly Step[] = [{ send: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok' }]

/** Starts one; with key and cert it speaks TLS. The script is asked once for each request head. `listen`: somewhere else. */
export async function startUpstream(
  script: Script = () => OK,
  secure?: { readonly key: string; readonly cert: string },
  listen: (server: Server) => void = (server) => void server.listen(0, '127.0.0.1'),
): Promise<RawUpstream> {
  const connections: Recorded[] = []
  const sockets = new Set<Socket>()
  let requests = 0
  const take = (socket: Socket) => {
    const recorded: Recorded = { id: connections.length, bytes: '', closed: false }
    connections.push(recorded)
    sockets.add(socket)
    let answered = 0
    socket.on('error', () => undefined)
    socket.on('close', () => {
      recorded.closed = true
      sockets.delete(socket)
    })
    socket.on('data', (chunk) => {
      recorded.bytes += chunk.toString('latin1')
      // What was answered is not read again: a connection that lives long would be slower with each request.
      for (const { head, end } of headsIn(recorded.bytes, answered)) {
        answered = end
        void play(socket, script(head, requests++))
      }
    })
  }
  const server: Server = secure
    ? tls.createServer({ ...secure, ALPNProtocols: ['http/1.1'] }, take)
    : createServer(take)
  server.on('tlsClientError', () => undefined)
  listen(server)
  if (!server.listening) await once(server, 'listening')
  return {
    port: (server.address() as { port: number }).port,
    connections,
    bytes: () => connections.map(({ bytes }) => bytes).join(''),
    heads: () => connections.flatMap(({ bytes }) => headsIn(bytes).map(({ head }) => head)),
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function play(socket: Socket, steps: readonly Step[]): Promise<void> {
  for (const step of steps) {
    if (step === 'fin') socket.end()
    else if (step === 'reset')
      'resetAndDestroy' in socket && !(socket instanceof tls.TLSSocket) ? socket.resetAndDestroy() : socket.destroy()
    else if (step === 'hang') return
    else if ('wait' in step) await step.wait
    else socket.write(step.send)
  }
}

/** Heads of requests in raw bytes from an index on, and where each ends. Bodies must not look like request lines. */
function headsIn(bytes: string, from = 0): { readonly head: string; readonly end: number }[] {
  return [...bytes.slice(from).matchAll(/[A-Z-]+ \S+ HTTP\/1\.1\r\n[\s\S]*?\r\n\r\n/g)].map((match) => ({
    head: match[0],
    end: from + match.index + match[0].length,
  }))
}

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { connect, type Server } from 'node:net'
import { eventually } from '../support/sallyport.ts'

export const MiB = 1024 * 1024
const ZEROS = Buffer.alloc(MiB)

/** An upstream that sends and takes zeros as fast as it may. */
export interface Flood {
  readonly port: number
  /** Bytes of bodies that its sockets have taken from it so far, in all answers. */
  written(): number
  /** Bytes of request bodies that it has read so far. */
  received(): number
  close(): Promise<void>
}

/** `GET /N` answers N zero bytes under back-pressure; `POST /` reads everything, and `POST /unread` nothing. `listen`: somewhere else. */
export async function startFlood(
  secure: { readonly key: string; readonly cert: string },
  listen: (server: Server) => void = (server) => void server.listen(0, '127.0.0.1'),
): Promise<Flood> {
  const counts = { written: 0, received: 0 }
  const server = createServer({ ...secure, requestTimeout: 0 }, (request, response) => {
    const done = request.method === 'GET' ? pour(request, response, counts) : swallow(request, response, counts)
    done.catch(() => response.destroy())
  })
  listen(server)
  if (!server.listening) await once(server, 'listening')
  return {
    port: (server.address() as { port: number }).port, // a TCP server has an address of this form
    written: () => counts.written,
    received: () => counts.received,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

type Counts = { written: number; received: number }

async function pour({ url = '' }: IncomingMessage, response: ServerResponse, counts: Counts): Promise<void> {
  const total = Number(url.slice(1))
  response.writeHead(200, { 'Content-Length': total })
  for (let left = total; left > 0 && !response.destroyed; left -= MiB) {
    const hasRoom = response.write(left < MiB ? ZEROS.subarray(0, left) : ZEROS)
    counts.written += Math.min(left, MiB)
    if (!hasRoom) await roomIn(response)
  }
  response.end()
}

function roomIn(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done).off('close', done)
      resolve()
    }
    response.on('drain', done).on('close', done)
  })
}

async function swallow(request: IncomingMessage, response: ServerResponse, counts: Counts): Promise<void> {
  if (request.url === '/unread') return
  for await (const chunk of request) counts.received += chunk.length
  response.end('ok')
}

/** Sends a head and then so many zeros, and counts what comes back until the connection closes. */
export function exchangeZeros(
  address: string,
  head: string,
  bytesUp: number,
): Promise<{ status: number; bytesDown: number }> {
  return new Promise((resolve, reject) => {
    let start = ''
    let bytesDown = 0
    const buffer = Buffer.allocUnsafe(MiB)
    // One buffer for all reads: what is measured is the sidecar, not this process.
    const onread = {
      buffer,
      callback(size: number) {
        bytesDown += size
        if (start.length < 4096) start += buffer.toString('latin1', 0, Math.min(size, 4096))
        return true
      },
    }
    const socket = connect({ ...placeOf(address), onread })
    const headBytes = () => start.indexOf('\r\n\r\n') + 4
    socket.on('error', reject)
    socket.on('close', () => resolve({ status: Number(start.slice(9, 12)), bytesDown: bytesDown - headBytes() }))
    socket.write(head)
    let left = bytesUp
    const push = () => {
      while (left > 0) {
        const chunk = left < MiB ? ZEROS.subarray(0, left) : ZEROS
        left -= chunk.length
        if (socket.write(chunk)) continue
        socket.once('drain', push)
        return
      }
    }
    push()
  })
}

function placeOf(address: string): { path: string } | { host: string; port: number } {
  if (address.startsWith('unix:')) return { path: address.slice('unix:'.length) }
  const [host = '', port] = address.split(':')
  return { host, port: Number(port) }
}

/** Memory of a process in bytes. `VmRSS`: now. `VmHWM`: the most since it began, or since `forgetPeak`. */
export function memoryOf(pid: number, what: 'VmRSS' | 'VmHWM'): number {
  const [, kib = ''] =
    new RegExp(`^${what}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kib) * 1024
}

/** What a process has used of the processor so far, in ms. */
export function processorMsOf(pid: number): number {
  // Behind the name, which may have anything in it: state is the third field, and utime and stime are the 14th and the 15th.
  const [, fields = ''] = /^.*\) (.*)$/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
  const [user = '', system = ''] = fields.split(' ').slice(11, 13)
  // USER_HZ is 100 wherever Linux runs.
  return (Number(user) + Number(system)) * 10
}

/** Waits until a number has not changed for as many looks; the number. */
export function settled(look: () => number, looks = 20): Promise<number> {
  let last = -1
  let same = 0
  return eventually(() => {
    const value = look()
    same = value === last && value > 0 ? same + 1 : 0
    last = value
    return same >= looks ? value : undefined
  }, 'a number to settle')
}

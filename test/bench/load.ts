import type { Socket } from 'node:net'

/** What a load made. Times in ms. */
export interface Load {
  readonly requestsPerSecond: number
  readonly p50: number
  readonly p99: number
  readonly errors: number
}

interface Options {
  /** A connection that is ready for a request. */
  open(): Promise<Socket>
  readonly head: string
  readonly connections: number
  readonly seconds: number
  /** Bytes of one whole answer's body. */
  readonly bodyBytes: number
}

/**
 * Keeps one request in flight on each connection. Works on raw sockets, because a full HTTP client would be slower than
 * what it measures; and does not sleep while it waits, see bench.ts.
 */
export async function load({ open, head, connections, seconds, bodyBytes }: Options): Promise<Load> {
  const latencies: number[] = []
  const request = Buffer.from(head, 'latin1')
  let errors = 0
  const sockets = await Promise.all(Array.from({ length: connections }, open))
  const start = performance.now()
  const end = start + seconds * 1000
  let isOver = false
  const stayAwake = () => void (isOver || setImmediate(stayAwake))
  stayAwake()
  await Promise.all(
    sockets.map(
      (socket) =>
        new Promise<void>((resolve) => {
          let sentAt = 0
          let pending = ''
          const send = () => {
            sentAt = performance.now()
            socket.write(request)
          }
          socket.on('data', (chunk) => {
            pending += chunk.toString('latin1')
            const split = pending.indexOf('\r\n\r\n')
            if (split === -1 || pending.length < split + 4 + bodyBytes) return
            if (!pending.startsWith('HTTP/1.1 200')) errors++
            pending = ''
            const now = performance.now()
            latencies.push(now - sentAt)
            if (now < end) send()
            else socket.destroy()
          })
          socket.on('error', () => errors++)
          socket.on('close', () => resolve())
          send()
        }),
    ),
  )
  isOver = true
  const elapsed = (performance.now() - start) / 1000
  const sorted = latencies.sort((one, other) => one - other)
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
  return { requestsPerSecond: sorted.length / elapsed, p50: at(0.5), p99: at(0.99), errors }
}

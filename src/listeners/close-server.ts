import { once } from 'node:events'
import type { Server } from 'node:http'
import { Server as NetServer, type Socket } from 'node:net'

interface Closing {
  readonly deadlineMs: number
  /** Whether nothing is being answered any more. */
  isIdle(): boolean
  /** Closes what is idle and not known to the server. */
  closeIdle(): void
  /** Those that have not said 'close' yet. */
  readonly sockets: ReadonlySet<Socket>
}

const POLL_MS = 20
/** For what is on its way at the deadline. */
const LEAST_MS = 100
/**
 * How long a socket that has just been taken in has to say something. Had it not been taken in, it would wait for the
 * process after this one, where systemd keeps the socket: so it is answered here.
 */
const FIRST_WORD_MS = 500

/**
 * Closes an HTTP server: no new sockets at once, busy ones when their answer is out, idle ones as soon as those that were
 * just taken in have had time to ask, and at the deadline whatever is left. Node's own `close` forgets sockets that have
 * switched protocols.
 */
export async function closeServer(server: Server, { deadlineMs, isIdle, closeIdle, sockets }: Closing): Promise<void> {
  const deadline = performance.now() + deadlineMs
  // The `close` of node:http would cut at once whatever has said nothing yet: measured, one caller at every restart.
  const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()))
  await firstWords(sockets, Math.min(deadline, performance.now() + FIRST_WORD_MS))
  server.close()
  while (!isIdle() && performance.now() < deadline) {
    server.closeIdleConnections()
    closeIdle()
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
  server.closeIdleConnections()
  closeIdle()
  for (const socket of sockets) socket.destroySoon()
  // An answer that is out for us may wait for a caller that reads slowly.
  const left = Math.max(LEAST_MS, deadline - performance.now())
  const late = setTimeout(() => sockets.forEach((socket) => socket.destroy()), left)
  await closed
  clearTimeout(late)
  await ends(sockets)
}

async function firstWords(sockets: ReadonlySet<Socket>, until: number): Promise<void> {
  const isNew = ({ bytesRead, destroyed }: Socket) => bytesRead === 0 && !destroyed
  while ([...sockets].some(isNew) && performance.now() < until)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
}

/**
 * The server says that it is closed before the last sockets do, and on those depends what is recorded of them. Not for
 * ever: a `close` that never comes must not keep the process.
 */
async function ends(sockets: ReadonlySet<Socket>): Promise<void> {
  const all = Promise.all([...sockets].map((socket) => once(socket, 'close')))
  const late = new Promise((resolve) => setTimeout(resolve, LEAST_MS * 5).unref())
  await Promise.race([all, late])
  await new Promise((resolve) => setImmediate(resolve))
}

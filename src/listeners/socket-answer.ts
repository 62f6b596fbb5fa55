import type { Duplex } from 'node:stream'
import type { Problem } from '../core/problem.ts'
import { type Challenge, refusalBytes } from '../wire/refusal.ts'

/** How long a refused caller has to read its refusal and close. */
const LINGER_MS = 1_000

/** Refuses where there is only a socket left, and closes it. Returns the status, undefined when it was too late. */
export function refuseOnSocket(socket: Duplex, problem: Problem, id: string, challenge: Challenge): number | undefined {
  if (!socket.writable) {
    socket.destroy()
    return undefined
  }
  const bytes = refusalBytes(problem, id, challenge)
  socket.end(bytes)
  // Unread bytes in our receive buffer would turn the close into a reset, and the caller might never see the refusal.
  socket.resume()
  const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref()
  socket.once('close', () => clearTimeout(timer))
  return Number(bytes.slice('HTTP/1.1 '.length, 'HTTP/1.1 '.length + 3))
}

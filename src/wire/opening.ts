import type { Socket } from 'node:net'

/** Awaits the event with which a socket opens. On an error or the signal the socket is destroyed and the reason thrown. */
export function opening<S extends Socket>(
  socket: S,
  event: 'connect' | 'secureConnect',
  signal: AbortSignal,
): Promise<S> {
  // Stays for good: an error between this promise and whoever uses the socket next must not end the process.
  socket.on('error', () => {})
  return new Promise((resolve, reject) => {
    const done = () => {
      signal.removeEventListener('abort', abort)
      socket.off('error', fail).off(event, open)
    }
    const fail = (error: unknown) => {
      done()
      socket.destroy()
      reject(error)
    }
    const abort = () => fail(signal.reason)
    const open = () => {
      done()
      resolve(socket)
    }
    socket.once('error', fail).once(event, open)
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) abort()
  })
}

/** The code that Node, the kernel or OpenSSL gave an error: unlike its message it holds nothing of the peer's. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'no code'
}

import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

/**
 * Closes by a reset where there is one, or what is cut short would look as if it were whole: so it would, too, where the
 * end is announced and bytes still wait for it. But while the end itself is under way, when no byte waits any more, libuv
 * answers a reset with EINVAL, and `close` never comes [Node 26.10].
 */
export function breakOff(socket: Socket): void {
  const isShuttingDown = socket.writableEnded && !socket.writableFinished && socket.writableLength === 0
  const isTcp = socket.remoteAddress !== undefined && !(socket instanceof TLSSocket)
  if (isTcp && !isShuttingDown) socket.resetAndDestroy()
  else socket.destroy()
}

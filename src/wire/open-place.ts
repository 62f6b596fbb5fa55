import { lstatSync } from 'node:fs'
import type { Server } from 'node:net'
import { resolve } from 'node:path'
import { addressText, type Bound, bind, type ListenAddress, parseListen } from './listen.ts'
import { ListenError } from './listen-error.ts'
import { adopt, PassedSockets } from './passed-sockets.ts'

/** Where a server listens, as settings say it. */
export interface Place {
  readonly listen: string
  /** Octal digits; 0600 without them. */
  readonly mode?: string | undefined
  /** The name of the socket that systemd has opened there. */
  readonly systemd?: string | undefined
}

interface Around {
  /** Relative paths start here. */
  readonly directory: string
  readonly allowNonLoopback?: boolean
  readonly passed?: PassedSockets | undefined
  /** Whether to have got in proves who somebody is. */
  readonly isProof?: boolean
}

/**
 * Opens the place, or takes the socket that systemd has opened at that very address.
 * @throws ListenError
 */
export async function openPlace(server: Server, place: Place, around: Around): Promise<Bound> {
  const where = parseListen(place.listen, { allowNonLoopback: around.allowNonLoopback ?? false })
  if (typeof where === 'string') throw new Error(where)
  const at = where.kind === 'unix' ? { ...where, path: resolve(around.directory, where.path) } : where
  if (place.systemd === undefined) return bind(server, at, { mode: Number.parseInt(place.mode ?? '0600', 8) })
  const { fd, at: found } = (around.passed ?? new PassedSockets()).take(place.systemd, at)
  if (around.isProof) refuseOpenToAll(found)
  return adopt(server, fd, addressText(found))
}

/** The mode of a socket unit that says none is 0666. Where we cannot see the file, systemd alone knows. */
function refuseOpenToAll(at: ListenAddress): void {
  const found = at.kind === 'unix' ? lstatSync(at.path, { throwIfNoEntry: false }) : undefined
  if (found === undefined || (found.mode & 0o002) === 0) return
  throw new ListenError(
    'socket-unfit',
    `everybody on this machine may connect to ${addressText(at)}, and would be the caller of this door: say SocketMode=0660 and SocketGroup= in its socket unit`,
  )
}

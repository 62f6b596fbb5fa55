import { isIP, isIPv4, isIPv6, type Server } from 'node:net'
import { dirname } from 'node:path'
import { classify } from './address.ts'
import { ListenError } from './listen-error.ts'
import { codeOf } from './opening.ts'
import { bindUnix, TEMPORARY_NAME_BYTES } from './unix-socket.ts'

/** Where a door listens. An IPv6 host stands here without brackets. */
export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

/** A server that listens. */
export interface Bound {
  /** As a settings file would write it, with the port that the kernel chose: `127.0.0.1:41231`, `unix:/run/x.sock`. */
  readonly address: string
  /**
   * Removes the socket file, if it is still the one made here; does nothing for TCP. The server is left for its owner to
   * close, before or after. Idempotent.
   */
  release(): Promise<void>
}

/** sockaddr_un has 108 bytes, the last of them zero. @see unix(7) */
const MAX_PATH_BYTES = 107

/**
 * `127.0.0.1:0`, `[::1]:8080` or `unix:/run/x.sock`; otherwise what is wrong, with the form to use. A relative path stays
 * relative: whoever knows what to start from resolves it.
 */
export function parseListen(
  text: string,
  { allowNonLoopback = false }: { readonly allowNonLoopback?: boolean } = {},
): ListenAddress | string {
  if (text.startsWith('unix:')) return parsePath(text.slice('unix:'.length))
  const [, host = '', digits = ''] = /^(\[[^\]]*\]|[^:]*):([0-9]{1,5})$/.exec(text) ?? []
  const address = host.startsWith('[') ? ipv6(host.slice(1, -1)) : ipv4(host)
  const port = Number(digits)
  if (address === undefined || digits === '' || String(port) !== digits || port > 65535) {
    return 'use an address and a port such as "127.0.0.1:15001" or "[::1]:15001", or a path such as "unix:/run/sallyport/x.sock"'
  }
  if (!allowNonLoopback && classify(address) !== 'loopback') {
    return `use a loopback address such as "127.0.0.1:${port}": whoever can reach ${text} could use this door`
  }
  return { kind: 'tcp', host: address, port }
}

/**
 * Starts the server there, or fails with nothing half-listening. `mode` (0o600 without it) is that of the socket file
 * from its very first moment. The path is absolute.
 * @throws ListenError
 */
export async function bind(
  server: Server,
  where: ListenAddress,
  { mode = 0o600 }: { readonly mode?: number } = {},
): Promise<Bound> {
  if (where.kind === 'tcp') return bindTcp(server, where.host, where.port)
  const fault = parsePath(where.path)
  if (typeof fault === 'string') throw new ListenError('path-unfit', `${where.path}: ${fault}`)
  const release = await bindUnix(server, where.path, mode)
  return { address: `unix:${where.path}`, release }
}

/** As a settings file would write it. */
export function addressText(where: ListenAddress): string {
  return where.kind === 'unix' ? `unix:${where.path}` : written(where.host, where.port)
}

function parsePath(path: string): ListenAddress | string {
  if (path.startsWith('@') || path.includes('\0')) {
    return 'use a path of the file system: an abstract socket has no owner and no mode, so anybody could be behind it'
  }
  if (path === '' || path.endsWith('/')) return 'use the path of the socket, as in "unix:/run/sallyport/x.sock"'
  const longest = Math.max(Buffer.byteLength(path), Buffer.byteLength(dirname(path)) + 1 + TEMPORARY_NAME_BYTES)
  if (longest <= MAX_PATH_BYTES) return { kind: 'unix', path }
  return `use a shorter path, in a directory near the root: the kernel takes ${MAX_PATH_BYTES} bytes and this needs ${longest}`
}

function ipv4(host: string): string | undefined {
  return isIPv4(host) ? host : undefined
}

function ipv6(host: string): string | undefined {
  return isIPv6(host) && !host.includes('%') ? host : undefined
}

async function bindTcp(server: Server, host: string, port: number): Promise<Bound> {
  await new Promise<void>((resolve, reject) => {
    const fail = (error: unknown) => reject(refusedTcp(error, written(host, port)))
    server.once('error', fail)
    server.listen({ host, port }, () => {
      server.off('error', fail)
      resolve()
    })
  })
  const bound = server.address()
  const chosen = typeof bound === 'object' && bound ? bound.port : port
  return { address: written(host, chosen), release: () => Promise.resolve() }
}

function written(host: string, port: number): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`
}

function refusedTcp(error: unknown, address: string): ListenError {
  switch (codeOf(error)) {
    case 'EADDRINUSE':
      return new ListenError(
        'address-in-use',
        `${address} is in use: stop what listens there, or use another port`,
        error,
      )
    case 'EACCES':
      return new ListenError(
        'not-permitted',
        `${address} may not be used: take a port from 1024 up, or grant CAP_NET_BIND_SERVICE`,
        error,
      )
    case 'EADDRNOTAVAIL':
      return new ListenError(
        'address-unavailable',
        `${address} is no address of this machine: use one that \`ip addr\` lists`,
        error,
      )
    default:
      return new ListenError('not-bound', `${address} cannot be listened on (${codeOf(error)}): use another`, error)
  }
}

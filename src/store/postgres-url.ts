import { isIP } from 'node:net'
import type { HeldSecret } from '../core/secret.ts'
import { StoreError } from './store.ts'

/** Where a PostgreSQL is, and as whom to be there. */
export interface PostgresPlace {
  /** A name, an address, or the directory of a Unix socket. */
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  /** Reads it out of the URL; nobody keeps it. */
  password(): string
  /** Verified always, the name included: a mode that does less is refused or taken for this one. */
  readonly isEncrypted: boolean
  /** Settings of the session, as `-c name=value`. */
  readonly options: string | undefined
}

const DEFAULT_PORT = 5432
const SHAPE = 'use postgres://USER:PASSWORD@HOST/DATABASE'
/** Stands for none: URL has no way to say so. */
const NO_HOST = 'no-host.invalid'
/** What libpq means by "at least encrypted" includes whoever is in between; here it means verified. */
const VERIFIED = new Set(['prefer', 'require', 'verify-ca', 'verify-full'])
const PARAMETERS = new Set(['sslmode', 'options', 'host'])

/**
 * Reads a connection URL.
 * @throws StoreError in words, which repeat nothing of the URL: a password is in it
 */
export function placeOf(text: string, unsafeAllowPlaintext: boolean): PostgresPlace {
  const url = parsed(text)
  const unknown = [...url.searchParams.keys()].find((name) => !PARAMETERS.has(name))
  if (unknown !== undefined)
    throw new StoreError('lost', 'in the URL use no parameters but sslmode, options and host (a socket)')
  const host = hostOf(url)
  const user = decoded(url.username)
  if (user === '') throw new StoreError('lost', `name the user in the URL: ${SHAPE}`)
  return {
    host,
    port: url.port === '' ? DEFAULT_PORT : Number(url.port),
    user,
    database: decoded(url.pathname.slice(1)) || user,
    password: () => decoded(url.password),
    isEncrypted: isEncrypted(host, url.searchParams.get('sslmode'), unsafeAllowPlaintext),
    options: url.searchParams.get('options') ?? undefined,
  }
}

/**
 * The server that a connection URL leads to; undefined where that is a Unix socket.
 * @throws StoreError in words
 */
export function serverIn(url: HeldSecret): Pick<PostgresPlace, 'host' | 'port'> | undefined {
  const { host, port } = placeOf(url.current().secret.reveal(), true)
  return host.startsWith('/') ? undefined : { host, port }
}

function parsed(text: string): URL {
  const url = URL.parse(text.trim().replace(/^postgres(ql)?:\/\/([^/?]*@)?\//, `postgres://$2${NO_HOST}/`))
  if (!url || !/^postgres(ql)?:$/.test(url.protocol)) throw new StoreError('lost', `the URL cannot be read: ${SHAPE}`)
  return url
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw new StoreError('lost', 'in the URL write "%" as "%25"')
  }
}

function hostOf(url: URL): string {
  const socket = url.searchParams.get('host')
  const host = socket ?? decoded(url.hostname).replace(/^\[|\]$/g, '')
  if (socket !== null && !socket.startsWith('/'))
    throw new StoreError('lost', `"host" in the URL names the directory of a Unix socket; for a host ${SHAPE}`)
  if (host === NO_HOST) throw new StoreError('lost', `name the host in the URL: ${SHAPE}`)
  return host
}

function isEncrypted(host: string, mode: string | null, unsafeAllowPlaintext: boolean): boolean {
  if (host.startsWith('/')) return false
  if (mode !== null && mode !== 'disable' && !VERIFIED.has(mode))
    throw new StoreError(
      'lost',
      'use sslmode=verify-full in the URL, or leave it out: the server has to prove who it is',
    )
  if (mode !== null && VERIFIED.has(mode)) return true
  if (isLoopback(host) || (mode === 'disable' && unsafeAllowPlaintext)) return false
  if (mode === 'disable')
    throw new StoreError(
      'lost',
      'take sslmode=disable out of the URL: whoever is on the way could grant; or, knowing that, set unsafeAllowPlaintextDatabase: true',
    )
  return true
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

import { randomBytes } from 'node:crypto'
import { type BigIntStats, linkSync, lstatSync, renameSync, rmSync, type Stats, unlinkSync } from 'node:fs'
import { lstat, stat } from 'node:fs/promises'
import { connect, type Server } from 'node:net'
import { dirname, join } from 'node:path'
import { ListenError } from './listen-error.ts'
import { codeOf } from './opening.ts'
import { makeOwnDirectory } from './own-directory.ts'

/** How long the name is that a socket has for a moment, in the directory where it will stand. */
export const TEMPORARY_NAME_BYTES = 12

/**
 * Listens on a socket file that has exactly this mode from its first moment, and replaces nothing but a stale socket of
 * our own. Its directory is made where that alone is missing. The socket is bound under a passing name and then linked to its own: link(2) never follows and never
 * overwrites, and libuv, which on close unlinks the name it bound, cannot remove what somebody puts there later.
 * Answers with what removes the file again, if it is still ours.
 * @throws ListenError
 */
export async function bindUnix(server: Server, path: string, mode: number): Promise<() => Promise<void>> {
  const directory = dirname(path)
  await makeOwnDirectory(directory)
  await checkDirectory(directory)
  const stale = await findStale(path)
  const passing = passingPath(directory)
  try {
    await listenAt(server, passing, mode)
    const made = lstatSync(passing, { bigint: true })
    checkMode(path, made, mode)
    if (stale) removeStale(path, stale)
    linkSync(passing, path)
    return () => removeIfSame(path, made)
  } catch (error) {
    server.close()
    throw refused(path, error)
  } finally {
    rmSync(passing, { force: true })
  }
}

async function checkDirectory(directory: string): Promise<void> {
  const found = await stat(directory).catch((error: NodeJS.ErrnoException) => error)
  if (found instanceof Error) {
    if (found.code === 'EACCES') throw refused(directory, found)
    throw new ListenError(
      'directory-missing',
      `${directory} does not exist: create it, owned by the user of Sallyport, mode 0755 or less`,
    )
  }
  if (!found.isDirectory()) throw new ListenError('directory-missing', noDirectory(directory))
  if (found.uid !== 0 && !isUs(found.uid)) {
    throw new ListenError(
      'directory-unsafe',
      `${directory} belongs to uid ${found.uid}, who could replace the socket: use a directory of the user of Sallyport`,
    )
  }
  if (isOpen(found)) throw new ListenError('directory-unsafe', openToOthers(directory))
}

/**
 * Why no socket can be put there, in words, whoever Sallyport runs as; for whoever only looks. Undefined: nothing is there
 * yet, or all may be well.
 */
export async function faultOfSocketPlace(path: string): Promise<string | undefined> {
  const directory = dirname(path)
  const found = await stat(directory).catch(() => undefined)
  if (!found) return undefined
  if (!found.isDirectory()) return noDirectory(directory)
  return isOpen(found) ? openToOthers(directory) : undefined
}

function isOpen({ mode }: Stats): boolean {
  return (mode & 0o022) !== 0
}

function noDirectory(directory: string): string {
  return `${directory} is not a directory: name a path in one`
}

function openToOthers(directory: string): string {
  return `others may write to ${directory} and replace the socket: chmod go-w, or use a directory of its own below it`
}

/** The socket file that may be replaced; undefined where there is nothing. */
async function findStale(path: string): Promise<BigIntStats | undefined> {
  const found = await lstat(path, { bigint: true }).catch(() => undefined)
  if (!found) return undefined
  if (found.isSymbolicLink())
    throw new ListenError('path-occupied', `${path} is a symbolic link: remove it, or use the path it leads to`)
  if (!found.isSocket())
    throw new ListenError('path-occupied', `${path} exists and is no socket: remove it, or use another path`)
  if (!isUs(Number(found.uid))) {
    throw new ListenError(
      'socket-foreign',
      `${path} is a socket of uid ${found.uid}: stop what made it and remove it, or use another path`,
    )
  }
  if (await isStale(path)) return found
  throw new ListenError(
    'socket-in-use',
    `somebody listens on ${path}, perhaps another Sallyport: stop that, or use another path`,
  )
}

function isStale(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ path })
    const settle = (refusal?: NodeJS.ErrnoException) => {
      probe.destroy()
      resolve(refusal?.code === 'ECONNREFUSED')
    }
    probe.on('error', settle).on('connect', () => settle())
  })
}

function listenAt(server: Server, path: string, mode: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.once('listening', () => {
      server.off('error', reject)
      resolve()
    })
    // bind(2) happens within listen(); the mask is the whole process's, and while it holds nothing else runs here.
    const usual = process.umask(0o777 & ~mode)
    try {
      server.listen({ path })
    } finally {
      process.umask(usual)
    }
  })
}

/** A default ACL of the directory overrides the umask. */
function checkMode(path: string, { mode }: BigIntStats, wanted: number): void {
  if ((Number(mode) & 0o777) === wanted) return
  throw new ListenError(
    'directory-unsafe',
    `${dirname(path)} gives new files another mode than ${wanted.toString(8)}: remove its default ACL`,
  )
}

/** Looks again at what it took away: between the probe and now, another process may have put a live socket there. */
function removeStale(path: string, stale: BigIntStats): void {
  const aside = passingPath(dirname(path))
  renameSync(path, aside)
  if (!isSame(lstatSync(aside, { bigint: true }), stale)) linkSync(aside, path)
  unlinkSync(aside)
}

async function removeIfSame(path: string, made: BigIntStats): Promise<void> {
  try {
    if (isSame(lstatSync(path, { bigint: true }), made)) unlinkSync(path)
  } catch (error) {
    if (!isMissing(error)) throw refused(path, error)
  }
}

/** The number of an inode is given out again once the socket is closed; the time it was made is not. */
function isSame(one: BigIntStats, other: BigIntStats): boolean {
  return one.dev === other.dev && one.ino === other.ino && one.mtimeNs === other.mtimeNs
}

function passingPath(directory: string): string {
  return join(
    directory,
    `.${randomBytes(TEMPORARY_NAME_BYTES)
      .toString('hex')
      .slice(0, TEMPORARY_NAME_BYTES - 1)}`,
  )
}

function isUs(uid: number): boolean {
  return uid === process.geteuid?.()
}

function isMissing(error: unknown): boolean {
  return codeOf(error) === 'ENOENT'
}

function refused(path: string, error: unknown): ListenError {
  if (error instanceof ListenError) return error
  const code = codeOf(error)
  switch (code) {
    case 'EEXIST':
      return new ListenError(
        'socket-in-use',
        `${path} was taken while we looked: see what else is starting, then try again`,
        error,
      )
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new ListenError(
        'not-permitted',
        `${path} may not be created: let the user of Sallyport write to its directory`,
        error,
      )
    default:
      return new ListenError('not-bound', `${path} cannot be listened on (${code}): use another path`, error)
  }
}

import { constants } from 'node:fs'
import { lstat, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { checkPrivateDirectory, makePrivateDirectory, syncDirectory } from '../ca/place.ts'
import { codeOf } from '../wire/opening.ts'

/** One file as the file system knows it, whatever its name is now. */
export interface FileIdentity {
  readonly dev: bigint
  readonly ino: bigint
}

/**
 * Makes the file where there is none, closed to others, in a directory that is closed to others, and refuses one that is
 * not. SQLite gives the two files beside it the mode of this one.
 * @throws Error in words
 */
export async function prepareFile(path: string): Promise<FileIdentity> {
  const directory = dirname(path)
  await makePrivateDirectory(directory)
  await checkPrivateDirectory(directory)
  await createIfMissing(path)
  for (const suffix of ['-wal', '-shm']) await checkFile(`${path}${suffix}`, true)
  return checkFile(path, false)
}

/** Undefined when there is nothing of that name. */
export async function identityOf(path: string): Promise<FileIdentity | undefined> {
  return lstat(path, { bigint: true }).catch(() => undefined)
}

async function createIfMissing(path: string): Promise<void> {
  try {
    // "x" is O_EXCL: neither a file nor a link that somebody put there is opened.
    const handle = await open(path, 'wx', 0o600)
    await handle.chmod(0o600)
    await handle.close()
    await syncDirectory(dirname(path))
  } catch (error) {
    if (codeOf(error) !== 'EEXIST')
      throw new Error(
        `${path} cannot be created (${codeOf(error)}): let the user of Sallyport write to its directory`,
        {
          cause: error,
        },
      )
  }
}

async function checkFile(path: string, mayBeMissing: boolean): Promise<FileIdentity> {
  const found = await lstat(path, { bigint: true }).catch((error: unknown) => {
    if (mayBeMissing && codeOf(error) === 'ENOENT') return undefined
    throw new Error(`${path} cannot be used (${codeOf(error)}): give it to the user of Sallyport, mode 0600`)
  })
  if (!found) return { dev: 0n, ino: 0n }
  const mode = Number(found.mode)
  if ((mode & constants.S_IFMT) !== constants.S_IFREG) throw new Error(`${path} is no regular file: name one`)
  if (Number(found.uid) !== process.geteuid?.())
    throw new Error(`${path} belongs to uid ${found.uid}: chown it to the user of Sallyport`)
  if ((mode & 0o077) !== 0) throw new Error(`${path} is open to other users: chmod 600`)
  return found
}

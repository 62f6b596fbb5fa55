import { randomBytes } from 'node:crypto'
import type { Stats } from 'node:fs'
import { lstat, mkdir, open, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { inShell } from '../forms/in-shell.ts'
import { codeOf } from '../wire/opening.ts'
import { makeOwnDirectory } from '../wire/own-directory.ts'

/** Makes a directory that is ours alone, where there is none yet. @throws Error in words */
export async function makePrivateDirectory(path: string): Promise<void> {
  await mkdir(path, { mode: 0o700 }).catch((error: unknown) => {
    if (codeOf(error) === 'EEXIST') return
    if (codeOf(error) === 'ENOENT')
      throw new Error(`${dirname(path)} does not exist: create it, or name another directory`)
    throw new Error(
      `${path} cannot be created (${codeOf(error)}): create it, owned by the user of Sallyport, mode 0700`,
    )
  })
}

/**
 * Whose a directory of Sallyport is to be, as whoever only looks at it knows: our own. Root also looks at that of another user, such as
 * one whom systemd has made up, and cannot tell from here whether Sallyport runs as that one. @throws Error in words
 */
export async function ownerForLooking(path: string): Promise<number | undefined> {
  const own = process.geteuid?.()
  return own === 0 ? (await look(path)).uid : own
}

/** Refuses a directory that anybody but its owner could look into or change. @throws Error in words */
export async function checkPrivateDirectory(path: string, owner = process.geteuid?.()): Promise<void> {
  const found = await look(path)
  if (found.isSymbolicLink()) throw new Error(`${path} is a symbolic link: name the directory it leads to`)
  if (!found.isDirectory()) throw new Error(`${path} is no directory: name one`)
  if (found.uid !== owner)
    throw new Error(`${path} belongs to uid ${found.uid}: chown it to the user of Sallyport, or name another directory`)
  if ((found.mode & 0o077) !== 0) throw new Error(`${path} is open to other users: chmod 700 ${inShell(path)}`)
}

/** Makes it where that alone is missing; refuses one in which others could replace what we publish. @throws Error in words */
export async function checkPublicDirectory(path: string): Promise<void> {
  await makeOwnDirectory(path)
  const found = await stat(path).catch((error: unknown) => {
    throw new Error(`${path} cannot be used (${codeOf(error)}): create it, owned by the user of Sallyport, mode 0755`)
  })
  if (!found.isDirectory()) throw new Error(`${path} is no directory: name a file in one`)
  if (found.uid !== 0 && found.uid !== process.geteuid?.())
    throw new Error(`${path} belongs to uid ${found.uid}, who could replace what is in it: use a directory of our own`)
  if ((found.mode & 0o022) !== 0)
    throw new Error(`others may write to ${path} and replace what is in it: chmod go-w, or use a directory below it`)
}

/** A name that nobody has, beside this one. */
export function passingNameBeside(path: string): string {
  return join(dirname(path), `.${randomBytes(12).toString('hex')}`)
}

/** Makes a new file that is on the disk when this returns, whatever the umask is. */
export async function writeNew(path: string, content: string | Buffer, mode: number): Promise<void> {
  // "x" is O_EXCL: neither a file nor a link that somebody put there is written to.
  const handle = await open(path, 'wx', mode)
  try {
    await handle.chmod(mode)
    await handle.writeFile(content)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Until then, a crash of the machine may undo what was linked or renamed there. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function look(path: string): Promise<Stats> {
  return lstat(path).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT')
      throw new Error(`${path} does not exist: \`sallyport serve\` creates it, with a certificate authority in it`)
    throw new Error(`${path} cannot be used (${codeOf(error)}): name a directory of the user of Sallyport`)
  })
}

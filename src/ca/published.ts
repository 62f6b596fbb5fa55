import { X509Certificate } from 'node:crypto'
import { lstat, readFile, rename, rm } from 'node:fs/promises'
import { codeOf } from '../wire/opening.ts'
import { certificatesIn } from './pem.ts'
import { passingNameBeside, writeNew } from './place.ts'
import { isNameOfRoot } from './root.ts'

const PUBLIC_MODE = 0o644

/**
 * Refuses a file that holds something, and no certificate of ours: `ca.pem` is what operators call the authorities of
 * their upstreams, too. Nothing is lost of a link, which is replaced and not followed.
 * @throws Error in words
 */
export async function checkReplaceable(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (!found?.isFile()) return
  const text = await readFile(path, 'utf8').catch(() => 'unreadable')
  if (text.trim() !== '' && !certificatesIn(text).some(isOurs))
    throw new Error(`${path} was not written by Sallyport: name another directory or bundle in "ca", or remove it`)
}

/** Whoever reads it sees the old file or the new one, whole. @throws Error in words */
export async function replacePublic(path: string, content: string | Buffer): Promise<void> {
  const passing = passingNameBeside(path)
  try {
    await writeNew(passing, content, PUBLIC_MODE)
    await rename(passing, path)
  } catch (error) {
    throw new Error(`${path} cannot be written (${codeOf(error)}): let the user of Sallyport write to its directory`, {
      cause: error,
    })
  } finally {
    await rm(passing, { force: true })
  }
}

function isOurs(pem: string): boolean {
  try {
    return isNameOfRoot(new X509Certificate(pem).subject)
  } catch {
    return false
  }
}

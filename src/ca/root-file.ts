import { createPrivateKey, X509Certificate } from 'node:crypto'
import { constants, type Stats } from 'node:fs'
import { type FileHandle, link, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { inShell } from '../forms/in-shell.ts'
import { codeOf } from '../wire/opening.ts'
import { certificatesIn } from './pem.ts'
import { passingNameBeside, syncDirectory, writeNew } from './place.ts'
import type { Identity } from './x509.ts'

const PRIVATE_KEY = /-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----/
const PRIVATE_MODE = 0o600
const MAX_BYTES = 1_048_576

/** What to do about an authority that cannot be used. */
export const ROTATE = rotateWith('FILE')

/** The same message, for whoever knows which settings file it is about. */
export function namingSettings(message: string, file: string): string {
  return message.replace(ROTATE, () => rotateWith(inShell(file)))
}

function rotateWith(config: string): string {
  return `run \`sallyport ca rotate --config ${config}\`, and hand out the new certificate`
}

/**
 * The key and certificate of an authority in one file, so that there is no moment with one of them alone. Undefined where
 * there is no file.
 * @throws Error in words; it names the file and holds nothing of its content
 */
export async function readRoot(path: string, owner = process.geteuid?.()): Promise<Identity | undefined> {
  const handle = await openRoot(path)
  if (!handle) return undefined
  try {
    const fault = faultOf(await handle.stat(), owner)
    if (fault !== undefined) throw new Error(`${path} ${fault}`)
    return parse(path, await handle.readFile('utf8'))
  } finally {
    await handle.close()
  }
}

/** Keeps this one, unless there is one by now: of two that start at once, one wins, and both go on with the winner's. */
export async function createRoot(path: string, root: Identity): Promise<Identity> {
  const passing = passingNameBeside(path)
  try {
    await writeNew(passing, textOf(root), PRIVATE_MODE)
    await link(passing, path)
    return root
  } catch (error) {
    const winner = codeOf(error) === 'EEXIST' ? await readRoot(path) : undefined
    return winner ?? cannotWrite(path, error)
  } finally {
    await tidy(passing)
  }
}

/** Puts this one in the place of whatever is there. */
export async function replaceRoot(path: string, root: Identity): Promise<Identity> {
  const passing = passingNameBeside(path)
  try {
    await writeNew(passing, textOf(root), PRIVATE_MODE)
    await rename(passing, path)
    return root
  } catch (error) {
    return cannotWrite(path, error)
  } finally {
    await tidy(passing)
  }
}

async function openRoot(path: string): Promise<FileHandle | undefined> {
  try {
    // Not blocking: opening a FIFO would otherwise wait for a writer.
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    if (codeOf(error) === 'ELOOP')
      throw new Error(`${path} is a symbolic link: put the file itself there`, { cause: error })
    throw new Error(`${path} cannot be read (${codeOf(error)}): chown it to the user of Sallyport, chmod 600`, {
      cause: error,
    })
  }
}

function faultOf(found: Stats, owner: number | undefined): string | undefined {
  if (!found.isFile()) return 'is no regular file: remove it'
  if (found.uid !== owner) return `belongs to uid ${found.uid}, who may know the key: remove it, and ${ROTATE}`
  if ((found.mode & 0o077) !== 0) return `was open to other users, who may know the key: ${ROTATE}`
  return found.size > MAX_BYTES ? `has more than ${MAX_BYTES} bytes: restore it, or ${ROTATE}` : undefined
}

function parse(path: string, text: string): Identity {
  const [key] = text.match(PRIVATE_KEY) ?? []
  const [cert] = certificatesIn(text)
  const root = key !== undefined && cert !== undefined ? { key: `${key}\n`, cert: `${cert}\n` } : undefined
  if (!root || !isWhole(root)) throw new Error(`${path} is damaged: restore it, or ${ROTATE}`)
  return root
}

/** A key on the curve we sign with, and the certificate of that very key, which is an authority's own. */
function isWhole({ key, cert }: Identity): boolean {
  try {
    const certificate = new X509Certificate(cert)
    const curve = certificate.publicKey.asymmetricKeyDetails?.namedCurve
    const isOwn = certificate.ca && certificate.verify(certificate.publicKey)
    return isOwn && curve === 'prime256v1' && certificate.checkPrivateKey(createPrivateKey(key))
  } catch {
    return false
  }
}

function textOf({ key, cert }: Identity): string {
  return key + cert
}

async function tidy(passing: string): Promise<void> {
  await rm(passing, { force: true })
  await syncDirectory(dirname(passing))
}

function cannotWrite(path: string, error: unknown): never {
  throw new Error(`${path} cannot be written (${codeOf(error)}): let the user of Sallyport write to its directory`, {
    cause: error,
  })
}

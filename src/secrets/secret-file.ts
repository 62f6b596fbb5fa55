import { type BigIntStats, constants } from 'node:fs'
import { type FileHandle, lstat, open, realpath } from 'node:fs/promises'
import { dirname, join, sep } from 'node:path'
import { Secret } from '../core/secret.ts'
import { inShell } from '../forms/in-shell.ts'

/**
 * A file at one moment. `stamp` differs whenever the file may have: two looks with one stamp saw one state. `isNone`: it is
 * not there, or there is nothing in it.
 */
export type Look =
  | { readonly stamp: string; readonly secret: Secret }
  | { readonly stamp: string; readonly fault: string; readonly isNone?: boolean }

/** What is known of the place of a file. */
export interface Placing {
  /** systemd has put it there, for this service alone. */
  readonly isPassed?: boolean
}

const MAX_BYTES = 65_536
const GONE = 'ENOENT'
/** What others may not do to a file of ours, and to one of a Kubernetes mount, whose modes are the cluster's to choose. */
const OTHERS = 0o077
const OTHERS_WRITING = 0o022
/**
 * What root must not have let others do to a file that systemd passes. That is root's, and the user of the service reads it by
 * an ACL, whose mask stat(2) shows in the place of what the group may do: 0440. @see acl(5)
 */
const OTHERS_BESIDE_ACL = 0o037

/** Reads a secret file, or says in words why it is refused; names the path, never the content. Does not throw. */
export async function lookAt(path: string, placing: Placing = {}): Promise<Look> {
  try {
    return await look(path, placing)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    const reason = code === 'EACCES' ? `may not be read: ${chown()}` : REASONS.get(code)
    const fault = `${path} ${reason ?? `cannot be read (${code}): check it`}`
    return { stamp: code, fault, isNone: code === GONE }
  }
}

/** What changes when the file does, without reading it; undefined when it is not there. */
export async function stampAt(path: string): Promise<string | undefined> {
  try {
    const real = await realpath(path)
    return stampOf(real, await lstat(real, { bigint: true }))
  } catch {
    return undefined
  }
}

const REASONS = new Map([
  ['ENOENT', 'does not exist: create it, owned by the user of Sallyport, mode 0600'],
  ['ENOTDIR', 'does not exist: a part of its path is no directory'],
  ['ELOOP', 'is a symbolic link that leads nowhere: give the path of the file itself'],
])

async function look(path: string, placing: Placing): Promise<Look> {
  const real = await realpath(path)
  // Not blocking: opening a FIFO would otherwise wait for a writer.
  const handle = await open(real, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW)
  try {
    const found = await handle.stat({ bigint: true })
    const stamp = stampOf(real, found)
    const misplaced = await faultOfPlace(path, { real, found, placing })
    if (misplaced) return { stamp, fault: `${path} ${misplaced}` }
    const wrong = faultOfSize(found)
    return wrong
      ? { stamp, fault: `${path} ${wrong}`, isNone: found.size === 0n }
      : { stamp, ...(await read(handle, path)) }
  } finally {
    await handle.close()
  }
}

/** What changes when the file at a real path does. */
export function stampOf(real: string, { dev, ino, mtimeNs, ctimeNs, size }: BigIntStats): string {
  return [real, dev, ino, mtimeNs, ctimeNs, size].join(' ')
}

interface Found extends Required<{ readonly placing: Placing }> {
  readonly real: string
  readonly found: BigIntStats
}

async function faultOfPlace(path: string, { real, found, placing }: Found): Promise<string | undefined> {
  const { mode, uid } = found
  const type = Number(mode) & constants.S_IFMT
  if (type === constants.S_IFDIR) return 'is a directory: name a file in it'
  if (type !== constants.S_IFREG) return 'is no regular file: use one'
  const directory = dirname(path)
  if (!isWithin(await realpath(directory), real))
    return 'is a symbolic link out of its directory: give the path of the file itself'
  if (uid !== 0n && Number(uid) !== process.geteuid?.()) return `belongs to uid ${uid}: ${chown()}`
  const forbidden = (await isMounted(directory, real))
    ? OTHERS_WRITING
    : uid === 0n && placing.isPassed
      ? OTHERS_BESIDE_ACL
      : OTHERS
  if ((Number(mode) & forbidden) === 0) return undefined
  // Closed to others, a file of root could not be read by anybody else; one that systemd passes is not to be given away.
  const own = Number(uid) === process.geteuid?.() || placing.isPassed ? '' : `${chown()}, and `
  return `is open to other users: ${own}chmod 600 ${inShell(path)}`
}

/** By its number: in an image nobody else knows it. */
function chown(): string {
  return `chown it to uid ${process.geteuid?.()}, the user of Sallyport`
}

function faultOfSize({ size }: BigIntStats): string | undefined {
  if (size === 0n) return 'is empty: write the secret into it'
  return size > MAX_BYTES ? `has more than ${MAX_BYTES} bytes: a secret is smaller` : undefined
}

/**
 * Kubernetes mounts secrets as DIR/name → DIR/..data/name, with DIR/..data → DIR/..TIMESTAMP, and swaps `..data`.
 * @see https://pkg.go.dev/k8s.io/kubernetes/pkg/volume/util#AtomicWriter
 */
async function isMounted(directory: string, real: string): Promise<boolean> {
  const data = join(directory, '..data')
  const link = await lstat(data).catch(() => undefined)
  return link?.isSymbolicLink() === true && isWithin(await realpath(data), real)
}

function isWithin(directory: string, real: string): boolean {
  return real.startsWith(directory.endsWith(sep) ? directory : directory + sep)
}

async function read(
  handle: FileHandle,
  path: string,
): Promise<{ secret: Secret } | { fault: string; isNone?: boolean }> {
  const bytes = await handle.readFile()
  const text = decode(bytes)
  if (bytes.length > MAX_BYTES || text === undefined)
    return { fault: `${path} is not UTF-8 text of at most ${MAX_BYTES} bytes` }
  if (text.includes('\0')) return { fault: `${path} has a zero byte in it: write the secret as text` }
  const trimmed = text.replace(/\r?\n$/, '')
  return trimmed.trim() === ''
    ? { fault: `${path} is empty: write the secret into it`, isNone: true }
    : { secret: new Secret(trimmed) }
}

function decode(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}

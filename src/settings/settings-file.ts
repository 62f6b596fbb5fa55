import { constants, createReadStream } from 'node:fs'
import { type FileHandle, open, realpath, stat } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { stampAt, stampOf } from '../secrets/secret-file.ts'
import { type Look, Watch } from '../secrets/watch.ts'
import { SettingsError } from './fault.ts'

const MAX_BYTES = 4 * 1024 * 1024
const EVERYBODY_WRITES = 0o002

/**
 * Between two looks that have to find the same. Whoever writes a file in place, even over a network that loses a packet, pauses
 * for less; with 200 ms, a script that slept for 150 between two commands had its first half taken in.
 */
const STEADY_MS = 500
/** One second in all. */
const MAX_LOOKS = 3

const GONE = 'gone'

const USE = 'use the path of a settings file'

/**
 * What is in a settings file, at the start: once, as it is, and of a pipe, too. @throws SettingsError
 */
export async function bytesOf(file: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  try {
    // One byte more than is let through at most, however long it is.
    for await (const chunk of createReadStream(file, { end: MAX_BYTES })) chunks.push(chunk as Buffer /* no encoding */)
  } catch (error) {
    throw refused(file, wordsOf(error))
  }
  const bytes = Buffer.concat(chunks)
  if (bytes.length > MAX_BYTES) throw refused(file, TOO_LARGE)
  return bytes
}

/**
 * The same while it is served: what two looks in a row, half a second apart, have found the very same. Half of a file that
 * is being written may be right in itself, and say less. Nothing that is not a file is waited for.
 * @throws SettingsError also where it has not come to rest within a second
 */
export async function steadyBytesOf(file: string): Promise<Buffer> {
  let before = await lookAt(file)
  for (let looks = 1; looks < MAX_LOOKS; looks++) {
    await wait(STEADY_MS)
    const look = await lookAt(file)
    if (isSame(look, before)) return valueOf(look, file)
    before = look
  }
  throw refused(file, 'is written all the time: write another file, move that into its place, and ask again')
}

/** What a file was before it was read: whoever watches it from there on misses nothing. */
export async function stampOfSettings(file: string): Promise<string> {
  return (await stampAt(file)) ?? GONE
}

/**
 * Calls `changed` whenever the file is not what it was at `since` any more, and has come to rest: also when it is gone, or is
 * no file. Whoever is told has to look. Until the process ends.
 * @throws SettingsError where it could never be read again
 */
export async function watchSettings(file: string, since: string, changed: () => void, pollMs?: number): Promise<void> {
  valueOf(await lookAt(file), file)
  const stamp = () => stampOfSettings(file)
  const look = async () => {
    const now = await stamp()
    return { stamp: now, value: now }
  }
  const isSame = (one: string, other: string) => one === other
  new Watch(since, { look, stamp, isSame, onFault: () => undefined }, pollMs).onChange(changed)
}

/** Where it is so, a warning: whoever may write to it says whom we trust, and it is not read again. */
export async function isOpenToAll(file: string): Promise<boolean> {
  const found = await stat(file).catch(() => undefined)
  return found?.isFile() === true && (found.mode & EVERYBODY_WRITES) !== 0
}

function isSame(one: Look<Buffer>, other: Look<Buffer>): boolean {
  if (one.stamp !== other.stamp) return false
  if ('fault' in one || 'fault' in other) return 'fault' in one && 'fault' in other && one.fault === other.fault
  // A write within one tick of the file system's clock leaves the stamp as it was.
  return one.value.equals(other.value)
}

function valueOf(look: Look<Buffer>, file: string): Buffer {
  if ('fault' in look) throw refused(file, look.fault)
  return look.value
}

async function lookAt(file: string): Promise<Look<Buffer>> {
  try {
    const real = await realpath(file)
    // Not blocking: opening a FIFO would otherwise wait for a writer, and every later reload for that.
    const handle = await open(real, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW)
    try {
      return await read(handle, real)
    } finally {
      await handle.close()
    }
  } catch (error) {
    return { stamp: '', fault: wordsOf(error) }
  }
}

async function read(handle: FileHandle, real: string): Promise<Look<Buffer>> {
  const found = await handle.stat({ bigint: true })
  const stamp = stampOf(real, found)
  if (found.isDirectory()) return { stamp, fault: DIRECTORY }
  if (!found.isFile()) return { stamp, fault: `is no regular file: ${USE}` }
  if ((Number(found.mode) & EVERYBODY_WRITES) !== 0) return { stamp, fault: 'may be written by everybody: chmod o-w' }
  if (found.size > MAX_BYTES) return { stamp, fault: TOO_LARGE }
  // As long as it was, and not as long as somebody makes it meanwhile: then the stamp is another one.
  const bytes = Buffer.alloc(Number(found.size))
  const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0)
  return { stamp, value: bytes.subarray(0, bytesRead) }
}

const TOO_LARGE = `is larger than 4 MiB: ${USE}`
const DIRECTORY = `is a directory: ${USE}`

const REASONS = new Map([
  ['ENOENT', `does not exist: ${USE}`],
  ['EISDIR', DIRECTORY],
  ['EACCES', `may not be read by the user of Sallyport: ${USE}`],
])

function wordsOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
  return REASONS.get(code) ?? `cannot be read (${code}): ${USE}`
}

function refused(file: string, words: string): SettingsError {
  return new SettingsError([`${file}:1:1 ${words}`])
}

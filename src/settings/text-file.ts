import { constants } from 'node:fs'
import { type FileHandle, open, realpath } from 'node:fs/promises'
import type { FaultOfText, WhenGone } from '../forms/network.ts'
import { stampAt, stampOf } from '../secrets/secret-file.ts'
import { type Look, Watch } from '../secrets/watch.ts'

/** The text of a file as it stands, until `close`. */
export interface OpenText {
  /** The same string as long as the file has not changed. */
  current(): string
  /** Calls the listener when it has another one. */
  onChange(listener: () => void): void
  /** Stops looking for changes; `current` goes on giving the last text. Idempotent. */
  close(): void
  /** Whether what is there now cannot be used, and the text before it is. */
  readonly isFailing: boolean
}

interface Judges {
  readonly faultOfText: FaultOfText
  /** What it means that the file is gone; `kept` without it. */
  readonly whenGone?: WhenGone
  /** Told, once for each change, why the text before it is kept. */
  onFault(message: string): void
  /** How often the file is looked at; ms. */
  readonly pollMs?: number
}

const MAX_BYTES = 1024 * 1024
const EVERYBODY_WRITES = 0o002
/** The stamp of a file that is not there. */
const GONE = 'ENOENT'

/**
 * A file of text that holds no secret, read again when it changes, by the same rules as a secret's. Others may read it; but
 * whoever may write to it says whom we trust.
 * @throws Error in words when it cannot be read, or is not what it should be
 */
export async function openText(path: string, judges: Judges): Promise<OpenText> {
  const { faultOfText, whenGone, onFault, pollMs } = judges
  const judged = async () => judge(await lookAt(path), path, faultOfText)
  const first = await judged()
  if ('fault' in first) throw new Error(first.fault)
  const watched = {
    async look() {
      const look = await judged()
      return look.stamp === GONE && whenGone === 'taken back' ? { stamp: GONE, value: '' } : look
    },
    stamp: async () => (await stampAt(path)) ?? GONE,
    isSame: (one: string, other: string) => one === other,
    onFault: (fault: string) => onFault(`${fault}. What it held before stays in use`),
  }
  const watch = new Watch(first.value, watched, pollMs)
  return {
    current: () => watch.current().value,
    onChange: (listener) => watch.onChange(listener),
    close: () => watch.close(),
    get isFailing() {
      return watch.isFailing
    },
  }
}

function judge(look: Look<string>, path: string, faultOfText: FaultOfText): Look<string> {
  const fault = 'fault' in look ? undefined : faultOfText(look.value)
  return fault === undefined ? look : { stamp: look.stamp, fault: `${path} ${fault}` }
}

async function lookAt(path: string): Promise<Look<string>> {
  try {
    const real = await realpath(path)
    // Not blocking: opening a FIFO would otherwise wait for a writer.
    const handle = await open(real, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW)
    try {
      return await read(handle, { path, real })
    } finally {
      await handle.close()
    }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    return { stamp: code, fault: `${path} cannot be read (${code}): use the path of a file that Sallyport may read` }
  }
}

interface Place {
  readonly path: string
  /** Behind every link. */
  readonly real: string
}

async function read(handle: FileHandle, { path, real }: Place): Promise<Look<string>> {
  const found = await handle.stat({ bigint: true })
  const stamp = stampOf(real, found)
  const refused = (words: string) => ({ stamp, fault: `${path} ${words}` })
  if (!found.isFile()) return refused('is no regular file: use one')
  if ((Number(found.mode) & EVERYBODY_WRITES) !== 0) return refused('may be written by everybody: chmod o-w')
  if (found.size > MAX_BYTES) return refused('has more than 1 MiB: use a smaller file')
  return { stamp, value: (await handle.readFile()).toString('utf8') }
}

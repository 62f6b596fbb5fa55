import { readFile, stat } from 'node:fs/promises'
import type { FaultOfText } from '../forms/network.ts'

/** The text of a file as it stands, until `close`. */
export interface OpenText {
  current(): string
  /** Stops looking for changes; `current` goes on giving the last text. Idempotent. */
  close(): void
}

interface Judges {
  readonly faultOfText: FaultOfText
  /** Told, once for each change, why the text before it is kept. */
  onFault(message: string): void
  /** How often the file is looked at; ms. */
  readonly pollMs?: number
}

const MAX_BYTES = 1024 * 1024

/**
 * A file of text that holds no secret, read again when it changes. Polls, as for secrets: a mount may send no event.
 * @throws Error in words when it cannot be read, or is not what it should be
 */
export async function openText(path: string, { faultOfText, onFault, pollMs = 1000 }: Judges): Promise<OpenText> {
  let stamp = await stampOf(path)
  let text = await read(path, faultOfText)
  let timer: NodeJS.Timeout | undefined
  let isClosed = false

  async function lookAgain(): Promise<void> {
    const now = await stampOf(path)
    if (now === stamp) return
    stamp = now
    try {
      text = await read(path, faultOfText)
    } catch (error) {
      onFault(`${error instanceof Error ? error.message : String(error)}. What it held before stays in use`)
    }
  }

  function schedule(): void {
    if (!isClosed) timer = setTimeout(() => void lookAgain().finally(schedule), pollMs).unref()
  }

  schedule()
  return {
    current: () => text,
    close() {
      isClosed = true
      clearTimeout(timer)
    },
  }
}

/** What changes when the file does; whatever stands in its way is told by reading it. */
async function stampOf(path: string): Promise<string> {
  const found = await stat(path, { bigint: true }).catch(() => undefined)
  return found ? [found.dev, found.ino, found.mtimeNs, found.ctimeNs, found.size].join(' ') : ''
}

async function read(path: string, faultOfText: FaultOfText): Promise<string> {
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw new Error(`${path} cannot be read (${error.code}): use the path of a file that Sallyport may read`)
  })
  const text = bytes.toString('utf8')
  const fault = bytes.length > MAX_BYTES ? 'has more than 1 MiB: use a smaller file' : faultOfText(text)
  if (fault !== undefined) throw new Error(`${path} ${fault}`)
  return text
}

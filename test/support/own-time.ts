/** How often it is looked whether this process gets to run. */
const BEAT_MS = 10

/**
 * How long a deed took, in ms, for a bound of what is promised. Of the time between two beats no more than two are counted: for
 * what a busy machine kept us waiting, whoever had promised was kept waiting, too.
 */
export async function timed<T>(deed: () => Promise<T>): Promise<{ readonly value: T; readonly tookMs: number }> {
  let tookMs = 0
  let last = performance.now()
  const beat = () => {
    const now = performance.now()
    tookMs += Math.min(now - last, 2 * BEAT_MS)
    last = now
  }
  const timer = setInterval(beat, BEAT_MS)
  try {
    const value = await deed()
    beat()
    return { value, tookMs }
  } finally {
    clearInterval(timer)
  }
}

/** Resolves at that time, as the wall clock has it, or as soon after it as this process gets to run; the time that it is then. */
export async function timerAt(atMs: number): Promise<number> {
  while (Date.now() < atMs) await new Promise((resolve) => setTimeout(resolve, atMs - Date.now()))
  return Date.now()
}

/** What a deed takes of the processor, in ms: unlike the time that it takes, that does not grow with what else a machine does. */
export function processorMs(deed: () => void): number {
  const before = process.threadCpuUsage()
  deed()
  const { user, system } = process.threadCpuUsage(before)
  return (user + system) / 1000
}

/**
 * How much of the processor this thread has taken between one beat and the next while a deed is done, in ms, from the least to
 * the most: how long the event loop was held up, but for what the machine does otherwise.
 */
export async function heldUpMs(deed: () => Promise<unknown>): Promise<readonly number[]> {
  const held: number[] = []
  let last = process.threadCpuUsage()
  const timer = setInterval(() => {
    const { user, system } = process.threadCpuUsage(last)
    held.push((user + system) / 1000)
    last = process.threadCpuUsage()
  }, BEAT_MS / 2)
  try {
    await deed()
  } finally {
    clearInterval(timer)
  }
  return held.toSorted((one, other) => one - other)
}

import { setTimeout as wait } from 'node:timers/promises'

/** How long the pauses are between one try and the next, in ms: a registry is back, and whoever holds a lock is done. */
const PAUSES_MS = [2_000, 10_000, 30_000, 60_000]

/**
 * Does something of which a network, or another process, may be the cause that it fails: again and again, for two minutes. At a
 * desk without a network nobody is kept waiting: there it is tried once. `what`: for the line that says so. `pauses`: between the tries.
 * @throws what the last try has thrown
 */
export async function retrying<T>(
  what: string,
  deed: () => T,
  pauses: readonly number[] = process.env['CI'] ? PAUSES_MS : [],
): Promise<T> {
  for (const pause of pauses) {
    try {
      return deed()
    } catch (error) {
      process.stderr.write(`${what} failed, and is tried again in ${pause} ms: ${String(error).split('\n')[0]}\n`)
    }
    await wait(pause)
  }
  return deed()
}

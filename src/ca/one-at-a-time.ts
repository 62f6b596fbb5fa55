import { setImmediate as breathe } from 'node:timers/promises'

/**
 * Runs pieces of work one after another, and lets the event loop go round between two of them: many at once would hold up
 * whatever else the process does.
 */
export function oneAtATime(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return (work) => {
    const mine = last.then(() => breathe()).then(work)
    last = mine.catch(() => {})
    return mine
  }
}

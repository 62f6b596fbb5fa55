import type { Clock } from './clock.ts'

/**
 * The time by which grants are judged, ms since the epoch: never behind what has passed since the start. Whoever sets the
 * wall clock back does not make a grant last longer; set ahead it ends them early, until it is right again. A clock that is
 * wrong at the start and set back later ends them early until the next start.
 */
export function steadyTime(clock: Clock): () => number {
  const wall = clock.now()
  const monotonic = clock.monotonic()
  return () => Math.max(clock.now(), Math.floor(wall + clock.monotonic() - monotonic))
}

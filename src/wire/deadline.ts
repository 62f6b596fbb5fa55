import { Problem } from '../core/problem.ts'

/** One limit over several steps. `signal` aborts with the error to reject with, whoever set it off. */
export interface Deadline {
  readonly signal: AbortSignal
  /** The outcome of work that cannot be stopped, unless the signal comes first. */
  race<T>(work: Promise<T>): Promise<T>
  /** To be called when all is done, so that neither the timer nor the caller's signal holds on to anything. */
  end(): void
}

interface Limit {
  readonly ms: number
  /** For the log. */
  readonly reason: string
  /** The caller's own, which ends the work early with its own reason. */
  readonly signal: AbortSignal | undefined
}

/** Starts the clock; it aborts with Problem `upstream-timeout`. */
export function startDeadline({ ms, reason, signal }: Limit): Deadline {
  const controller = new AbortController()
  const timer = setTimeout(() => controller.abort(new Problem('upstream-timeout', { reason })), ms)
  const follow = () => controller.abort(signal?.reason)
  if (signal?.aborted) follow()
  signal?.addEventListener('abort', follow, { once: true })
  return {
    signal: controller.signal,
    race: (work) => Promise.race([work, aborted(controller.signal)]),
    end() {
      clearTimeout(timer)
      signal?.removeEventListener('abort', follow)
    },
  }
}

/** Never fulfils; rejects with the signal's reason. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}

import { Problem } from '../../core/problem.ts'
import { startDeadline } from '../../wire/deadline.ts'

/** What one check has to say about one subject. Holds no secret. */
export interface Told {
  /** What was looked at: a connection, a listener, a variable, a client. */
  readonly subject: string
  /** `skipped`: it could not be told, and `says` why. */
  readonly state: 'ok' | 'warning' | 'failed' | 'skipped'
  /** What is so, in words. */
  readonly says: string
  /** What to do: the line to run or to write, wherever there is one. */
  readonly remedy?: string | undefined
}

/** The same with the name of its check. */
export interface Finding extends Told {
  readonly check: string
}

const DEADLINE_MS = 10_000

/**
 * Looks at one subject by itself: what is thrown, and what takes too long, is a failed finding about it and ends nothing
 * else. The signal ends the work.
 */
export async function examine(
  subject: string,
  look: (signal: AbortSignal) => Promise<Told | readonly Told[]>,
  deadlineMs = DEADLINE_MS,
): Promise<readonly Told[]> {
  const reason = `took more than ${deadlineMs / 1000} s`
  const deadline = startDeadline({ ms: deadlineMs, reason, signal: undefined })
  try {
    return [await deadline.race(look(deadline.signal))].flat()
  } catch (error) {
    return [failure(subject, error)]
  } finally {
    deadline.end()
  }
}

/** The same for any number of subjects at once. */
export async function examineAll<T>(
  subjects: Iterable<T>,
  look: (subject: T) => Promise<readonly Told[]>,
): Promise<readonly Told[]> {
  return (await Promise.all(Array.from(subjects, look))).flat()
}

/** An error as a finding. Errors for operators end with what to do, behind their last colon. */
export function failure(subject: string, error: unknown): Told {
  if (error instanceof Problem) return { subject, state: 'failed', says: error.reason, remedy: error.row.remedy }
  return { subject, state: 'failed', ...inTwo(error instanceof Error ? error.message : String(error)) }
}

/** What is so, and what to do: `crm/key is open to other users: chmod 600`. */
export function inTwo(message: string): Pick<Told, 'says' | 'remedy'> {
  const at = message.lastIndexOf(': ')
  return at === -1 ? { says: message } : { says: message.slice(0, at), remedy: message.slice(at + 2) }
}

import { randomUUIDv7 } from 'node:crypto'

const LAST_DIGITS = 12

let latest = ''

/**
 * A UUID of version 7 that sorts after every earlier one of this process: what is ordered by ids is in the order of its
 * making, which Node's own are not within a millisecond.
 * @see RFC 9562 section 6.2
 */
export function nextId(): string {
  const fresh: string = randomUUIDv7()
  latest = fresh > latest ? fresh : successorOf(latest)
  return latest
}

/** Adds one to the last 48 of the random bits; they are at their end once in 2^48 times, and then it starts anew. */
function successorOf(id: string): string {
  const next = (Number.parseInt(id.slice(-LAST_DIGITS), 16) + 1) % 2 ** 48
  return id.slice(0, -LAST_DIGITS) + next.toString(16).padStart(LAST_DIGITS, '0')
}

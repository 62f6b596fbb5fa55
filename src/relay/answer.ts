import type { Readable } from 'node:stream'
import type { Framing } from '../wire/framing.ts'

/** The body of an ask: how it is framed, and its bytes. Read at most once, and only after the decision. */
export interface Incoming {
  readonly framing: Framing
  readonly stream: Readable
  /** Tells a caller that waits with `Expect: 100-continue` to go on. Idempotent. */
  proceed(): void
}

/**
 * What goes back to the caller, over whichever protocol the door speaks. Used by one exchange; methods are called in the
 * order of a message. After `broken` or `close` they do nothing.
 */
export interface Answer {
  readonly hasStarted: boolean
  /** 103 Early Hints. Nothing happens where the caller's protocol has no such thing. */
  hint(fields: readonly string[]): void
  start(status: number, statusText: string, fields: readonly string[]): void
  /** False: wait for `onDrain` before writing more. */
  write(chunk: Buffer): boolean
  /** `trailers`: what follows the body; gone where the caller's protocol has no room for it. */
  end(trailers?: readonly string[]): void
  /** The rest will not come: the caller must see a broken body, never a clean end. */
  break(): void
  /** Replaces the listener before. */
  onDrain(listener: () => void): void
  /** The caller has gone before the end. Called at once if it has gone already. Replaces the listener before. */
  onGone(listener: () => void): void
}

import { randomBytes } from 'node:crypto'
import type { Attributes } from '../otlp/attributes.ts'
import type { SpanId } from '../wire/trace-context.ts'

/** Something that took a while, over. Times in ms since the epoch, with fractions. Holds no secret. */
export interface Span extends SpanId {
  readonly parent?: { readonly spanId: string; readonly isRemote: boolean } | undefined
  readonly state?: string | undefined
  readonly kind: 'internal' | 'server' | 'client'
  /** Of few values, never a caller's text. */
  readonly name: string
  readonly startMs: number
  readonly endMs: number
  readonly attributes: Attributes
  readonly isError: boolean
  readonly links?: readonly SpanId[] | undefined
}

/** Sixteen bytes at random. */
export function newTraceId(): string {
  return randomHex(16)
}

/** Eight bytes at random. */
export function newSpanId(): string {
  return randomHex(8)
}

const POOL_BYTES = 8192
let pool = Buffer.alloc(0)
let used = 0

/** From a pool: one call for each id would cost more than the rest of a span [a microsecond]. */
function randomHex(bytes: number): string {
  if (used + bytes > pool.length) {
    pool = randomBytes(POOL_BYTES)
    used = 0
  }
  used += bytes
  return pool.toString('hex', used - bytes, used)
}

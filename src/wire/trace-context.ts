import type { Fields } from '../core/ask.ts'
import { valuesOf } from './fields.ts'

/** A span, as W3C Trace Context names it: lower-case hex, 32 and 16 digits, never all zero. */
export interface SpanId {
  readonly traceId: string
  readonly spanId: string
}

/** The span that a request is part of. */
export interface TraceParent extends SpanId {
  /** Whether whoever sent it records it. */
  readonly isSampled: boolean
}

const PARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:$|-)/
/** Of the only version that there is, which has nothing more. */
const LENGTH = 55
const SAMPLED = 0x01

/**
 * What a caller says of its trace; undefined where it says nothing, or what cannot be read: then a new trace begins. A
 * version that is not known yet is read as far as ours goes, and goes on as ours.
 * @see https://www.w3.org/TR/trace-context-1/ sections 3.2 and 4.3
 */
export function readTraceparent(fields: Fields): TraceParent | undefined {
  const values = valuesOf(fields, 'traceparent')
  // Two of them are nobody's: nothing says which one is meant.
  if (values.length !== 1) return undefined
  const value = values[0]?.trim() ?? ''
  if (!PARENT.test(value) || (value.length > LENGTH && value.startsWith('00'))) return undefined
  const flags = Number.parseInt(value.slice(53, LENGTH), 16)
  return { traceId: value.slice(3, 35), spanId: value.slice(36, 52), isSampled: (flags & SAMPLED) !== 0 }
}

/** The same for the next one down the line. Flags that are not of this version are not passed on. */
export function traceparentOf({ traceId, spanId, isSampled }: TraceParent): string {
  return `00-${traceId}-${spanId}-0${isSampled ? SAMPLED : 0}`
}

const KEY = /^(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})$/
const VALUE = /^[ -+\--<>-~]{0,255}[!-+\--<>-~]$/
const MAX_MEMBERS = 32
/** At least so much has to travel on, and no more does. */
const MAX_LENGTH = 512
const LARGE_MEMBER = 128

/**
 * What vendors have added to a trace, as it may travel on; undefined where there is nothing. One that is wrong anywhere is
 * dropped whole, and so is one that names a vendor twice. Without a valid `traceparent` it means nothing.
 * @see section 3.3
 */
export function readTracestate(fields: Fields): string | undefined {
  const values = valuesOf(fields, 'tracestate')
  if (values.length === 0) return undefined
  const members = values
    .join(',')
    .split(',')
    .map((member) => member.replace(/^[ \t]+|[ \t]+$/g, ''))
    .filter((member) => member !== '')
  const keys = members.map((member) => keyOf(member))
  const isRight = members.length <= MAX_MEMBERS && !keys.includes(undefined) && new Set(keys).size === keys.length
  return isRight && members.length > 0 ? bounded(members) : undefined
}

function keyOf(member: string): string | undefined {
  const at = member.indexOf('=')
  const key = member.slice(0, Math.max(0, at))
  return KEY.test(key) && VALUE.test(member.slice(at + 1)) ? key : undefined
}

/** What is too long loses its large members first, and then the last ones. @see section 3.3.1.5 */
function bounded(members: readonly string[]): string | undefined {
  const whole = members.join(',')
  if (whole.length <= MAX_LENGTH) return whole
  // Without a large one it is -1, which is the last.
  const less = members.toSpliced(
    members.findLastIndex((member) => member.length > LARGE_MEMBER),
    1,
  )
  return less.length === 0 ? undefined : bounded(less)
}

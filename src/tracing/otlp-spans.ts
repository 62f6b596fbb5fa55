import { attributesOf, nanoseconds, type Resource } from '../otlp/attributes.ts'
import type { Span } from './span.ts'

const KINDS = { internal: 1, server: 2, client: 3 } as const
const SAMPLED = 0x01
const HAS_IS_REMOTE = 0x1_00
const IS_REMOTE = 0x2_00
const ERROR = 2
/** A path may be 8 KiB, and a thousand of them wait; the record of the audit has it whole. */
const MAX_TEXT = 1024

/**
 * One span in the JSON of OTLP. Written as soon as it is over: then a batch is joined and not encoded, and requests never
 * wait for it.
 * @see https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
 */
export function spanInJson(span: Span): string {
  const { traceId, spanId, parent, state, kind, name, startMs, endMs, attributes, isError, links } = span
  return JSON.stringify({
    traceId,
    spanId,
    ...(state !== undefined && { traceState: state }),
    ...(parent && { parentSpanId: parent.spanId }),
    flags: SAMPLED | HAS_IS_REMOTE | (parent?.isRemote ? IS_REMOTE : 0),
    name,
    kind: KINDS[kind],
    startTimeUnixNano: nanoseconds(startMs),
    endTimeUnixNano: nanoseconds(Math.max(startMs, endMs)),
    attributes: attributesOf(shortened(attributes)),
    ...(links && links.length > 0 && { links }),
    ...(isError && { status: { code: ERROR } }),
  })
}

/** Such spans as one request. */
export function spansRequest(spans: readonly string[], resource: Resource, version: string): string {
  const attributes = JSON.stringify(attributesOf(resource))
  const scope = JSON.stringify({ name: 'sallyport', version })
  return `{"resourceSpans":[{"resource":{"attributes":${attributes}},"scopeSpans":[{"scope":${scope},"spans":[${spans.join(',')}]}]}]}`
}

function shortened(attributes: Span['attributes']): Span['attributes'] {
  const isLong = Object.values(attributes).some((value) => typeof value === 'string' && value.length > MAX_TEXT)
  if (!isLong) return attributes
  const rows = Object.entries(attributes).map(([key, value]) => [
    key,
    typeof value === 'string' ? value.slice(0, MAX_TEXT) : value,
  ])
  return Object.fromEntries(rows)
}

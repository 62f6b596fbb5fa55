/** What a value of an attribute may be; an absent one is left out. */
export type Value = string | number | undefined
/** Attributes by name. */
export type Attributes = Readonly<Record<string, Value>>
/** Attributes of the resource, by name. */
export type Resource = Readonly<Record<string, string>>

/**
 * Attributes in the JSON of OTLP, where 64-bit integers are strings.
 * @see https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
 */
export function attributesOf(attributes: Attributes): object[] {
  return Object.entries(attributes).flatMap(([key, value]) => {
    if (value === undefined || value === null) return []
    return [{ key, value: typeof value === 'number' ? { intValue: String(value) } : { stringValue: value } }]
  })
}

/** Ms since the epoch as nanoseconds: to the microsecond, which is as far as a double reaches. */
export function nanoseconds(ms: number): string {
  return `${Number.isFinite(ms) ? Math.round(ms * 1000) : 0}000`
}

/** A field of what somebody else wrote, which may be any value at all; undefined where it has none of its own. */
export function field(value: unknown, key: string): unknown {
  const isObject = typeof value === 'object' && value !== null && Object.hasOwn(value, key)
  return isObject ? (value as Readonly<Record<string, unknown>>)[key] /* it has it */ : undefined
}

/** Keys and values of it, in its order; none where it is no object. */
export function entries(value: unknown): readonly (readonly [string, unknown])[] {
  return typeof value === 'object' && value !== null ? Object.entries(value) : []
}

/** Its items; none where it is no list. */
export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

import type { Json } from '../cel.ts'

/** One operation of RFC 6902, of those that policies of ours use. */
export interface Operation {
  readonly op: string
  readonly path: string
  readonly value?: Json
}

/**
 * Applies a patch to a copy, as an API server does.
 * @throws Error where a place is not there
 * @see RFC 6902
 */
export function patched(target: Json, operations: readonly Operation[]): Json {
  const copy = structuredClone(target)
  for (const operation of operations) apply(copy, operation)
  return copy
}

function apply(root: Json, { op, path, value }: Operation): void {
  const keys = path.split('/').slice(1).map(unescaped)
  const last = keys.pop()
  const parent = keys.reduce<unknown>((at, key) => child(at, key, path), root)
  if (op !== 'add' || last === undefined || value === undefined) throw new Error(`no operation of ours: ${op} ${path}`)
  if (Array.isArray(parent)) return insert(parent, last, value, path)
  if (typeof parent !== 'object' || parent === null) throw new Error(`nothing can be added at ${path}`)
  Object.assign(parent, { [last]: value })
}

function insert(list: unknown[], key: string, value: Json, path: string): void {
  const index = key === '-' ? list.length : Number(key)
  if (!Number.isInteger(index) || index < 0 || index > list.length)
    throw new Error(`no such place in the list: ${path}`)
  list.splice(index, 0, value)
}

function child(at: unknown, key: string, path: string): unknown {
  if (typeof at === 'object' && at !== null && Object.hasOwn(at, key)) return Reflect.get(at, key)
  throw new Error(`there is no ${key} on the way to ${path}`)
}

/** RFC 6901 section 4: in this order. */
function unescaped(key: string): string {
  return key.replaceAll('~1', '/').replaceAll('~0', '~')
}

import { inputInvalid } from './admin-problem.ts'

interface Part {
  readonly limit: number
  readonly cursor?: string | undefined
}

/**
 * A part of a list, in the order of its keys. The cursor is the key of the last item: what comes and goes between two parts
 * makes nobody see an item twice, or miss one that was there all the time.
 * @throws AdminProblem `input-invalid`
 */
export function pageOf<T>(items: readonly T[], keyOf: (item: T) => string, { limit, cursor }: Part) {
  const after = cursor === undefined ? undefined : keyIn(cursor)
  const rows = items.map((item) => ({ item, key: keyOf(item) }))
  rows.sort((one, other) => (one.key < other.key ? -1 : 1))
  const rest = after === undefined ? rows : rows.filter(({ key }) => key > after)
  const part = rest.slice(0, limit)
  const last = part.at(-1)
  return {
    items: part.map(({ item }) => item),
    ...(last && rest.length > limit && { cursor: Buffer.from(`k${last.key}`).toString('base64url') }),
  }
}

function keyIn(cursor: string): string {
  const text = Buffer.from(cursor, 'base64url').toString('utf8')
  if (!text.startsWith('k'))
    throw inputInvalid([{ pointer: 'cursor', detail: 'use the cursor of the part before, as it was given' }])
  return text.slice(1)
}

/** Whether it is a pointer to something within a document. */
export const JSON_POINTER = /^(?:\/(?:[^~/]|~[01])*)+$/

/** What a pointer leads to; undefined where there is nothing. @see RFC 6901 */
export function pointTo(pointer: string, members: ReadonlyMap<string, unknown>): unknown {
  const [first = '', ...rest] = pointer.slice(1).split('/').map(unescape)
  return rest.reduce(memberOf, members.get(first))
}

/** In this order: `~01` is `~1`. */
function unescape(token: string): string {
  return token.replaceAll('~1', '/').replaceAll('~0', '~')
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  if (Array.isArray(value)) return /^(?:0|[1-9]\d*)$/.test(name) ? value[Number(name)] : undefined
  return Object.entries(value).find(([key]) => key === name)?.[1]
}

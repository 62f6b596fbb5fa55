import type { Ask, Fields } from '../core/ask.ts'
import { hasOneReading } from '../core/path.ts'
import { nameKey } from '../wire/fields.ts'
import type { Fault } from '../wire/framing.ts'

/** A request as a door with the face read it. */
export interface FaceRequest extends Pick<Ask, 'method' | 'path' | 'query'> {
  readonly fields: Fields
}

/** The connections that a door with the face serves; undefined: all. */
export interface FaceTerms {
  readonly connections?: readonly string[] | undefined
}

/** As settings name connections: fit to be repeated in an answer. */
export const NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$/

/** The connection of a name, by which it is called in answers, too. */
export function targetOf(name: string, { connections }: FaceTerms): Ask['target'] & { readonly kind: 'connection' } {
  const isListed = NAME.test(name) && (connections === undefined || connections.includes(name))
  return { kind: 'connection', name: isListed ? name : '', called: NAME.test(name) ? name : '' }
}

/** What servers may read in more than one way could lead out of the connection. */
export function fallsOut(path: string): Fault | undefined {
  return path === '' || hasOneReading(path)
    ? undefined
    : { code: 'path-not-allowed', reason: 'servers read this path in more than one way' }
}

/** Unity Catalog takes these away, and passes everything else on. They are for the workspace, not for the upstream. */
export function withoutOwn(fields: Fields): Fields {
  const kept: string[] = []
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] ?? ''
    if (!isOwn(nameKey(name))) kept.push(name, fields[at + 1] ?? '')
  }
  return kept
}

function isOwn(key: string): boolean {
  return key === 'authorization' || key === 'cookie' || key.startsWith('x-databricks-')
}

import type { Fault } from '../wire/framing.ts'
import { FACE_METHODS } from '../wire/refusal-unity-catalog.ts'
import type { Reading } from './door.ts'
import { externalFunction } from './external-function.ts'
import { type FaceRequest, type FaceTerms, fallsOut, NAME, targetOf, withoutOwn } from './face.ts'

const PROXY = /^\/api\/2\.0\/unity-catalog\/connections\/([^/]+)\/proxy(\/.*)?$/
const EXTERNAL_FUNCTION = '/api/2.0/external-function'
/** What a request at a door with `face: unity-catalog` asks for. */
export function unityCatalogRoute(asked: FaceRequest, terms: FaceTerms): Omit<Reading, 'evidence'> | Fault {
  const { method, path, query, fields } = asked
  if (path === EXTERNAL_FUNCTION && method === 'POST') return externalFunction(asked, terms)
  const [, segment, rest = ''] = PROXY.exec(path) ?? []
  const name = segment === undefined ? undefined : nameIn(segment)
  if (name === undefined) return { code: 'endpoint-unknown', reason: 'no path of this face' }
  if (!FACE_METHODS.includes(method)) return { code: 'method-not-allowed', reason: `${method} at a face` }
  return fallsOut(path) ?? { target: targetOf(name, terms), path: rest, query, fields: withoutOwn(fields) }
}

function nameIn(segment: string): string | undefined {
  try {
    const name = decodeURIComponent(segment)
    return NAME.test(name) ? name : undefined
  } catch {
    return undefined
  }
}

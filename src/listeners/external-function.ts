import { isUtf8 } from 'node:buffer'
import type { Fields } from '../core/ask.ts'
import type { Enclosed } from '../gate/enclosed.ts'
import { parseOriginForm } from '../wire/authority.ts'
import { valuesOf } from '../wire/fields.ts'
import { type Fault, judgeHead } from '../wire/framing.ts'
import { parseJsonObject } from '../wire/json-object.ts'
import { FACE_METHODS } from '../wire/refusal-unity-catalog.ts'
import type { Reading } from './door.ts'
import { type FaceRequest, type FaceTerms, fallsOut, targetOf, withoutOwn } from './face.ts'

type Members = ReadonlyMap<string, unknown>

const TEXTS = ['connection_name', 'method', 'path', 'headers', 'params', 'json', 'sub_domain']
const NEEDED = ['connection_name', 'method', 'path']
/** Of the request that brought it: what the caller's own client can decode, and by which a request is traced, or is a loop. */
const PASSED_ON = ['accept-encoding', 'via', 'traceparent', 'tracestate']

/** `http_request` of Unity Catalog: the body says which request is asked for, and the answer comes as it is. */
export function externalFunction({ path, fields }: FaceRequest, terms: FaceTerms): Omit<Reading, 'evidence'> {
  return {
    // Until the body has been read, nobody knows: a connection of no name, which nobody may use.
    target: { kind: 'connection', name: '', called: '' },
    path,
    query: '',
    unfold(body) {
      const coding = valuesOf(fields, 'content-encoding').find((one) => one.toLowerCase() !== 'identity')
      if (coding !== undefined) return malformed('the body is compressed')
      const members = isUtf8(body) ? parseJsonObject(body.toString('utf8')) : undefined
      return members ? enclosedIn(members, { fields, terms }) : malformed('the body is no JSON object')
    },
  }
}

interface Outer {
  readonly fields: Fields
  readonly terms: FaceTerms
}

function enclosedIn(members: Members, { fields: outer, terms }: Outer): Enclosed | Fault {
  const text = (key: string) => textOf(members, key)
  const unfit = faultOfMembers(members)
  if (unfit) return unfit
  const method = text('method').toUpperCase()
  if (!FACE_METHODS.includes(method)) return malformed('method is none of a connection')
  const route = pathAndQuery(text('path'), members.get('params'))
  if ('code' in route) return route
  const fields = fieldsOf(members, outer)
  if ('code' in fields) return fields
  const body = isGiven(members.get('json')) ? Buffer.from(text('json')) : undefined
  if (body && !isJson(text('json'))) return malformed('json is no JSON text')
  const target = targetOf(text('connection_name'), terms)
  const subDomain = isGiven(members.get('sub_domain')) ? { subDomain: text('sub_domain') } : {}
  return { method, target: { ...target, ...subDomain }, ...route, fields, body }
}

function textOf(members: Members, key: string): string {
  const value = members.get(key)
  return typeof value === 'string' ? value : ''
}

/** An unknown member would ask for something that is then not done. */
function faultOfMembers(members: Members): Fault | undefined {
  const missing = NEEDED.find((key) => typeof members.get(key) !== 'string')
  if (missing !== undefined) return malformed(`${missing} is missing, or no text`)
  const isFit = [...members].every(
    ([key, value]) => TEXTS.includes(key) && (typeof value === 'string' || value === null),
  )
  return isFit ? undefined : malformed('a member that is unknown here, or no text')
}

function pathAndQuery(path: string, params: unknown): { path: string; query: string } | Fault {
  const parts = path === '' ? { path, query: '' } : parseOriginForm(path.startsWith('/') ? path : `/${path}`)
  if (!parts) return { code: 'target-malformed', reason: 'path is no path' }
  const added = isGiven(params) ? queryOf(params) : ''
  if (added === undefined) return malformed('params are no JSON object of texts')
  const query = [parts.query.slice(1), added].filter((one) => one !== '').join('&')
  return fallsOut(parts.path) ?? { path: parts.path, query: query === '' ? '' : `?${query}` }
}

function queryOf(params: unknown): string | undefined {
  const members = parseJsonObject(String(params))
  const pairs = [...(members ?? [])].flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((one: unknown): [string, string | undefined] => [name, scalar(one)]),
  )
  if (!members || pairs.some(([, value]) => value === undefined)) return undefined
  // As encodeURIComponent, and never a "+", which only forms take for a blank.
  return pairs.map(([name, value = '']) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join('&')
}

/** What goes upstream is what `headers` say, and nothing of what the caller's own client sends to us. */
function fieldsOf(members: Members, outer: Fields): Fields | Fault {
  const headers = isGiven(members.get('headers')) ? parseJsonObject(String(members.get('headers'))) : new Map()
  const given = [...(headers ?? [])].flatMap(([name, value]) => [String(name), scalar(value) ?? '\n'])
  const names = new Set(given.filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase()))
  const passed = PASSED_ON.filter((name) => name === 'via' || !names.has(name))
  const kept = passed.flatMap((name) => valuesOf(outer, name).flatMap((value) => [name, value]))
  const type = isGiven(members.get('json')) && !names.has('content-type') ? ['Content-Type', 'application/json'] : []
  const judged = headers && judgeHead({ fields: ['Host', 'none', ...given], httpVersion: '1.1' })
  if (!judged || 'code' in judged) return malformed('headers are no JSON object of header fields')
  return withoutOwn([...kept, ...given, ...type])
}

function scalar(value: unknown): string | undefined {
  return ['string', 'number', 'boolean'].includes(typeof value) ? String(value) : undefined
}

/** Clients leave out what they have nothing for, or say null. */
function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

function malformed(reason: string): Fault {
  return { code: 'body-malformed', reason }
}

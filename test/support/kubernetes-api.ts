import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as client from '@kubernetes/client-node'

/** A field of an object of the Kubernetes API. */
export interface Field {
  readonly name: string
  /** As the generator spells it: `string`, `V1Probe`, `Array<V1Container>`, `{ [key: string]: string; }`. */
  readonly type: string
  /** `int32`, `byte`, `date-time`, ... or nothing. */
  readonly format: string
  readonly isRequired: boolean
}

/** What an API server takes at one address: its type, and whether it lives in a namespace. */
export interface ApiKind {
  readonly type: string
  readonly isNamespaced: boolean
}

const GENERATED = join(import.meta.dirname, '../../node_modules/@kubernetes/client-node/dist/gen')

const kinds = new Map<string, ApiKind | undefined>()
const fields = new Map<string, ReadonlyMap<string, Field> | undefined>()

/**
 * The kind of this `apiVersion` and `kind`, as the official client would send it; undefined where no API server has it. Custom
 * resources are not in it.
 */
export function apiKind(apiVersion: string, kind: string): ApiKind | undefined {
  return remembered(kinds, `${apiVersion} ${kind}`, () => findKind(apiVersion, kind))
}

/** The fields of a type by name; undefined where it is none of the API's. */
export function fieldsOf(type: string): ReadonlyMap<string, Field> | undefined {
  return remembered(fields, type, () => findFields(type))
}

/** The client has one class for each group and version, and one method for each kind that can be created. */
function findKind(apiVersion: string, kind: string): ApiKind | undefined {
  const file = join(GENERATED, 'apis', `${apiClassOf(apiVersion)}.js`)
  if (!/^\w+$/.test(kind) || !existsSync(file)) return undefined
  const text = readFileSync(file, 'utf8')
  const method = new RegExp(`async create(Namespaced)?${kind}\\(`).exec(text)
  if (!method) return undefined
  const body = /serialize\(body, "(\w+)"/.exec(text.slice(method.index))
  return body?.[1] === undefined ? undefined : { type: body[1], isNamespaced: method[1] !== undefined }
}

/** `rbac.authorization.k8s.io/v1` is RbacAuthorizationV1Api, and `v1` is CoreV1Api. */
function apiClassOf(apiVersion: string): string {
  const parts = apiVersion.split('/')
  const [group = '', version = ''] = parts.length === 1 ? ['core', ...parts] : parts
  return `${group
    .replace(/\.k8s\.io$/, '')
    .split('.')
    .map(capital)
    .join('')}${capital(version)}Api`
}

function capital(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1)
}

/** The class knows types, and its declaration alone which fields have to be there. */
function findFields(type: string): ReadonlyMap<string, Field> | undefined {
  const model: unknown = Reflect.get(client, type)
  if (!hasAttributes(model)) return undefined
  const required = requiredOf(type)
  const rows = model
    .getAttributeTypeMap()
    .map(
      ({ baseName, type, format }) =>
        [baseName, { name: baseName, type, format, isRequired: required(baseName) }] as const,
    )
  return new Map(rows)
}

function requiredOf(type: string): (name: string) => boolean {
  const text = readFileSync(join(GENERATED, 'models', `${type}.d.ts`), 'utf8')
  const names = new Set([...text.matchAll(/^ {4}'([^']+)': /gm)].map(([, name]) => name))
  return (name) => names.has(name)
}

interface Model {
  getAttributeTypeMap(): readonly { readonly baseName: string; readonly type: string; readonly format: string }[]
}

function hasAttributes(model: unknown): model is Model {
  return typeof model === 'function' && 'getAttributeTypeMap' in model
}

function remembered<T>(known: Map<string, T>, key: string, find: () => T): T {
  const found = known.get(key)
  if (found !== undefined || known.has(key)) return found as T
  const made = find()
  known.set(key, made)
  return made
}

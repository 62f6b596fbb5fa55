import { parseAllDocuments } from 'yaml'
import { apiKind, type Field, fieldsOf } from './kubernetes-api.ts'
import { faultsOfPod } from './kubernetes-pod.ts'
import { faultOfValue, isQuantity } from './kubernetes-values.ts'

/** One object of a manifest, as YAML says it. */
export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Record<string, string> }
  readonly [field: string]: unknown
}

/**
 * The objects of a YAML text, as kubectl reads it: YAML 1.1, where `0440` is octal and `yes` no text. Empty documents are left
 * out.
 * @throws Error where it is no YAML, says a key twice, or has an object without apiVersion, kind and name
 */
export function readManifests(text: string): readonly Manifest[] {
  return parseAllDocuments(text, { version: '1.1', uniqueKeys: true, merge: true }).flatMap((document) => {
    const [error] = document.errors
    if (error) throw error
    const value: unknown = document.toJS()
    return value === null ? [] : [asManifest(value)]
  })
}

function asManifest(value: unknown): Manifest {
  const { apiVersion, kind, metadata } = isMapping(value) ? value : {}
  const name = isMapping(metadata) ? metadata['name'] : undefined
  if (typeof apiVersion !== 'string' || typeof kind !== 'string' || typeof name !== 'string')
    throw new Error(`is no object with apiVersion, kind and metadata.name: ${JSON.stringify(value).slice(0, 200)}`)
  return value as Manifest
}

/** What may be taken although the API server has it only where somebody has installed it. */
export interface Strictness {
  /** Custom resources as `APIVERSION KIND`; of their spec nothing is known here. */
  readonly custom?: readonly string[]
}

/**
 * Everything that an API server with `fieldValidation: Strict` would refuse, and pods that could never start, as
 * `KIND/NAME spec.template...: what is wrong`. Empty where all is well.
 */
export function faultsOf(manifest: Manifest, { custom = [] }: Strictness = {}): readonly string[] {
  const { apiVersion, kind, metadata } = manifest
  const at = (words: string) => `${kind}/${metadata.name} ${words}`
  if (custom.includes(`${apiVersion} ${kind}`)) return faultsOfType(metadata, 'V1ObjectMeta', 'metadata').map(at)
  const api = apiKind(apiVersion, kind)
  if (!api) return [at(`apiVersion: no API server has ${apiVersion} ${kind}`)]
  const misplaced =
    !api.isNamespaced && metadata.namespace !== undefined ? ['metadata.namespace: it lives in no namespace'] : []
  const faults = [...misplaced, ...faultsOfName(metadata.name, kind), ...faultsOfType(manifest, api.type, '')]
  // Only what fits the types can be looked at as a pod.
  return (faults.length > 0 ? faults : faultsOfPod(manifest)).map(at)
}

/** The same for several objects; of two with one name the API server would keep the last. */
export function faultsOfAll(manifests: readonly Manifest[], strictness?: Strictness): readonly string[] {
  const names = manifests.map(({ kind, metadata: { namespace = '', name } }) => `${kind}/${namespace}/${name}`)
  const twice = names.filter((name, index) => names.indexOf(name) !== index).map((name) => `${name}: is there twice`)
  return [...manifests.flatMap((manifest) => faultsOf(manifest, strictness)), ...twice]
}

/** Names of RBAC objects may hold a colon. */
function faultsOfName(name: string, kind: string): string[] {
  const pattern = /Role/.test(kind) ? /^[a-z0-9][a-z0-9:.-]*$/ : /^[a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?$/
  return pattern.test(name) ? [] : [`metadata.name: is no RFC 1123 subdomain: ${name}`]
}

function faultsOfType(value: unknown, type: string, path: string): string[] {
  const known = fieldsOf(type)
  if (!known) return [`${path}: this validator does not know the type ${type}`]
  if (!isMapping(value)) return [`${path}: must be a mapping`]
  const missing = [...known.values()].filter(({ name, isRequired }) => isRequired && value[name] === undefined)
  return [
    ...missing.map(({ name }) => `${join(path, name)}: is required`),
    ...Object.entries(value).flatMap(([name, one]) => {
      const field = known.get(name)
      return field ? faultsOfField(one, field, type, join(path, name)) : [`${join(path, name)}: unknown field`]
    }),
  ]
}

function faultsOfField(value: unknown, field: Field, owner: string, path: string): string[] {
  return faultsOfValue(value, { ...field, owner: `${owner}.${field.name}` }, path)
}

interface Expected {
  readonly type: string
  readonly format: string
  /** `TYPE.FIELD` that the value is of, or is in a list or a mapping of. */
  readonly owner: string
}

function faultsOfValue(value: unknown, expected: Expected, path: string): string[] {
  const { type, owner } = expected
  const [, ofList] = /^Array<(.*)>$/.exec(type) ?? []
  if (ofList !== undefined)
    return Array.isArray(value)
      ? value.flatMap((one, index) => faultsOfValue(one, { ...expected, type: ofList }, `${path}[${index}]`))
      : [`${path}: must be a list`]
  const [, ofMap] = /^\{ \[key: string\]: (.*); \}$/.exec(type) ?? []
  if (ofMap !== undefined)
    return isMapping(value)
      ? Object.entries(value).flatMap(([key, one]) =>
          faultsOfValue(one, { ...expected, type: ofMap }, `${path}["${key}"]`),
        )
      : [`${path}: must be a mapping`]
  if (type === 'any') return []
  const scalar = SCALARS[type]
  if (!scalar) return faultsOfType(value, type, path)
  if (!(scalar(value) || (isQuantity(owner) && typeof value === 'number'))) return [`${path}: must be ${wordsOf(type)}`]
  const wrong = faultOfFormat(value, expected) ?? faultOfValue(owner, value)
  return wrong === undefined ? [] : [`${path}: ${wrong}`]
}

const SCALARS: Readonly<Record<string, (value: unknown) => boolean>> = {
  string: (value) => typeof value === 'string',
  number: (value) => typeof value === 'number',
  boolean: (value) => typeof value === 'boolean',
  Date: (value) => (typeof value === 'string' || value instanceof Date) && !Number.isNaN(new Date(value).getTime()),
  IntOrString: (value) => typeof value === 'string' || Number.isInteger(value),
}

function wordsOf(type: string): string {
  return (
    { string: 'a text', number: 'a number', boolean: 'true or false', Date: 'a time' }[type] ?? 'a number or a text'
  )
}

function faultOfFormat(value: unknown, { format }: Expected): string | undefined {
  if (format === 'int32' || format === 'int64') return Number.isInteger(value) ? undefined : 'must be a whole number'
  if (format === 'byte') return BASE64.test(String(value)) ? undefined : 'must be base64'
  return undefined
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
}

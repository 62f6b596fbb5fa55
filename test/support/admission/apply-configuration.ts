import type { Json } from '../cel.ts'
import { fieldsOf } from '../kubernetes-api.ts'

/**
 * By what the elements of a list are told apart, where they are merged. Every other list is atomic: an apply configuration
 * may not touch it. Of the API's types, `+listType=map`.
 * @see https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy
 */
const KEYS: Readonly<Record<string, readonly string[]>> = {
  'V1PodSpec.containers': ['name'],
  'V1PodSpec.initContainers': ['name'],
  'V1PodSpec.ephemeralContainers': ['name'],
  'V1PodSpec.imagePullSecrets': ['name'],
  'V1PodSpec.volumes': ['name'],
  'V1Container.env': ['name'],
  'V1Container.ports': ['containerPort', 'protocol'],
  'V1Container.volumeMounts': ['mountPath'],
}

/** `+structType=atomic`, and mappings that are. */
const ATOMIC = new Set(
  [
    ['V1ConfigMapKeySelector', 'V1LabelSelector', 'V1LocalObjectReference', 'V1ObjectFieldSelector'],
    ['V1ResourceFieldSelector', 'V1SecretKeySelector', 'V1PodSpec.nodeSelector'],
  ].flat(),
)

type Mapping = Readonly<Record<string, Json>>

/**
 * Merges an apply configuration into an object of this type, as the structured merge of an API server does.
 * @throws Error where it has an unknown field or touches what is atomic
 * @see https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy
 */
export function merged(type: string, live: Mapping, patch: Mapping): Mapping {
  const fields = fieldsOf(type)
  const rows = Object.entries(patch).map(([name, value]) => {
    const field = fields?.get(name)
    if (!field) throw new Error(`${type} has no field ${name}`)
    return [name, mergedField({ owner: `${type}.${name}`, type: field.type, live: live[name], patch: value })] as const
  })
  return { ...live, ...Object.fromEntries(rows) }
}

interface Meeting {
  readonly owner: string
  readonly type: string
  readonly live: Json | undefined
  readonly patch: Json
}

function mergedField({ owner, type, live, patch }: Meeting): Json {
  const [, element] = /^Array<(.*)>$/.exec(type) ?? []
  if (ATOMIC.has(owner) || ATOMIC.has(type)) throw new Error(`may not mutate atomic ${owner}`)
  if (element !== undefined) return mergedList({ owner, element, live: listOf(live), patch: listOf(patch) })
  if (!isMapping(patch)) return patch
  const before = isMapping(live) ? live : {}
  return type.startsWith('{') ? { ...before, ...patch } : merged(type, before, patch)
}

interface ListMeeting {
  readonly owner: string
  readonly element: string
  readonly live: readonly Json[]
  readonly patch: readonly Json[]
}

/** What is there keeps its place, and what is new comes last. */
function mergedList({ owner, element, live, patch }: ListMeeting): Json {
  const keys = KEYS[owner]
  if (!keys) throw new Error(`may not mutate atomic ${owner}`)
  const identityOf = (one: Json) => JSON.stringify(keys.map((key) => (isMapping(one) ? one[key] : undefined)))
  const incoming = new Map(patch.map((one) => [identityOf(one), one]))
  if (incoming.size < patch.length) throw new Error(`two of ${owner} have the same key`)
  const known = new Set(live.map(identityOf))
  const mergedOne = (one: Json, other: Json | undefined) =>
    isMapping(one) && isMapping(other) ? merged(element, one, other) : one
  return [
    ...live.map((one) => mergedOne(one, incoming.get(identityOf(one)))),
    ...patch.filter((one) => !known.has(identityOf(one))).map((one) => mergedOne({}, one)),
  ]
}

function listOf(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? value : []
}

function isMapping(value: Json | undefined): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

import { evaluate, isMade, type Json, plain, type Result } from '../cel.ts'
import { fieldsOf } from '../kubernetes-api.ts'
import { merged } from './apply-configuration.ts'
import { type Operation, patched } from './json-patch.ts'

/** An object of the API, as a policy is shown it. */
export type Resource = Readonly<Record<string, Json>>

interface Expression {
  readonly expression: string
}

interface Selector {
  readonly matchLabels?: Readonly<Record<string, string>>
  readonly matchExpressions?: readonly { readonly key: string; readonly operator: string }[]
}

/** What both kinds of policy have. */
interface Matching {
  readonly matchConstraints: { readonly objectSelector?: Selector }
  readonly matchConditions?: readonly (Expression & { readonly name: string })[]
  readonly variables?: readonly (Expression & { readonly name: string })[]
}

/** A MutatingAdmissionPolicy's spec, as far as ours goes. */
export interface MutatingSpec extends Matching {
  readonly mutations: readonly {
    readonly patchType: string
    readonly jsonPatch?: Expression
    readonly applyConfiguration?: Expression
  }[]
}

/** A ValidatingAdmissionPolicy's spec, as far as ours goes. */
export interface ValidatingSpec extends Matching {
  readonly validations: readonly (Expression & { readonly message: string })[]
}

/**
 * A pod as it is after this policy, one mutation after the other, each of which sees what the one before has made. Where
 * the policy does not match, it is the same pod.
 * @throws Error where an API server would refuse the pod, given `failurePolicy: Fail`
 */
export function mutated(spec: MutatingSpec, pod: Resource): Resource {
  if (!matches(spec, pod)) return pod
  return spec.mutations.reduce((now, mutation) => {
    const { jsonPatch, applyConfiguration } = mutation
    if (mutation.patchType === 'JSONPatch' && jsonPatch)
      return asResource(patched(now, operationsOf(valueOf(spec, jsonPatch, now))))
    if (mutation.patchType === 'ApplyConfiguration' && applyConfiguration)
      return merged('V1Pod', now, configurationOf(valueOf(spec, applyConfiguration, now)))
    throw new Error(`a mutation of no kind: ${mutation.patchType}`)
  }, pod)
}

/** What this policy says to whoever creates such a pod; nothing where it lets it through. */
export function refusals(spec: ValidatingSpec, pod: Resource): readonly string[] {
  if (!matches(spec, pod)) return []
  return spec.validations.filter((validation) => valueOf(spec, validation, pod) !== true).map(({ message }) => message)
}

/** Whether a label selector means something with these labels. */
export function selects(selector: Selector | undefined, labels: Readonly<Record<string, Json>>): boolean {
  const { matchLabels = {}, matchExpressions = [] } = selector ?? {}
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator }) => {
      if (operator === 'Exists') return key in labels
      throw new Error(`an operator that no policy of ours has: ${operator}`)
    })
  )
}

function matches(spec: Matching, pod: Resource): boolean {
  const labels = asResource(asResource(pod['metadata'] ?? {})['labels'] ?? {})
  if (!selects(spec.matchConstraints.objectSelector, labels)) return false
  return (spec.matchConditions ?? []).every((condition) => valueOf(spec, condition, pod) === true)
}

/** Variables are seen by those after them, and none of them may make an object of a message type. */
function valueOf(spec: Matching, { expression }: Expression, object: Resource): Result {
  const variables = (spec.variables ?? []).reduce<Resource>((known, one) => {
    const value = plain(
      evaluate(one.expression, { object, variables: known }, () => ['a variable has no message types']),
    )
    return { ...known, [one.name]: value }
  }, {})
  return evaluate(expression, { object, variables }, faultsOfMessage)
}

function operationsOf(result: Result): readonly Operation[] {
  if (!Array.isArray(result)) throw new Error('a JSON patch is a list')
  return result.map((one: Result) => {
    if (!isMade(one) || one.type !== 'JSONPatch') throw new Error('a list of JSONPatch is expected')
    const { op, path, value } = one.fields
    if (typeof op !== 'string' || typeof path !== 'string' || value === undefined) throw new Error('op, path and value')
    checkTypes(value, `Object${path.replaceAll(/\/(?:\d+|-)(?=\/|$)/g, '').replaceAll('/', '.')}`)
    return { op, path, value: plain(value) }
  })
}

function configurationOf(result: Result): Resource {
  if (!isMade(result) || result.type !== 'Object') throw new Error('an Object is expected')
  checkTypes(result, 'Object')
  return asResource(plain(result))
}

/** An object of the field `env` of `Object.spec.containers` is `Object.spec.containers.env`, and nothing else. */
function checkTypes(result: Result, place: string): void {
  if (Array.isArray(result)) for (const one of result) checkTypes(one, place)
  if (!isMade(result)) return
  if (result.type !== place) throw new Error(`unexpected type name ${result.type}, expected ${place}`)
  for (const [name, value] of Object.entries(result.fields)) checkTypes(value, `${place}.${name}`)
}

/** An API server takes any field name here, and fails when the pod is decoded: this says it with the name of the type. */
function faultsOfMessage(message: string, names: readonly string[]): readonly string[] {
  if (message === 'JSONPatch') return []
  const [root, ...path] = message.split('.')
  const type = path.reduce<string | undefined>(
    (owner, name) => owner && elementOf(fieldsOf(owner)?.get(name)?.type),
    'V1Pod',
  )
  const fields = root === 'Object' && type !== undefined ? fieldsOf(type) : undefined
  if (!fields) return [`${message} is no type of a pod`]
  return names.filter((name) => !fields.has(name)).map((name) => `${message} has no field ${name}`)
}

function elementOf(type: string | undefined): string | undefined {
  return type === undefined ? undefined : (/^Array<(.*)>$/.exec(type)?.[1] ?? type)
}

function asResource(value: Json): Resource {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('an object is expected')
  // A mapping is what is left.
  return value as Resource
}

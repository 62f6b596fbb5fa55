import { type CelInput, type CelValue, celEnv, isCelError, isCelList, isCelMap, parse, plan } from '@bufbuild/cel'

/** Values as JSON has them; whole numbers are `int` in an expression. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }

/** What an object of a message type is in a result: its type beside its fields. */
export interface Made {
  readonly type: string
  readonly fields: Readonly<Record<string, Result>>
}

/** A result, in which objects of message types can be told from mappings. */
export type Result = null | boolean | number | string | readonly Result[] | Made | ReadonlyMap<string, Result>

/** Says what is wrong with a message type and its fields, `Object.spec` with `containers`; nothing is an empty list. */
export type MessageJudge = (type: string, fields: readonly string[]) => readonly string[]

/**
 * Evaluates expressions of the Common Expression Language as an API server of Kubernetes does, as far as this engine goes:
 * its grammar, its operators, its macros of one variable, strings. Messages such as `Object.spec{...}` are made as mappings that
 * know their type. There is no type check before the evaluation, and no limit of cost.
 * @throws Error where it cannot be read, has a message that the judge does not know, or fails
 */
export function evaluate(expression: string, variables: Readonly<Record<string, Json>>, judge: MessageJudge): Result {
  const { expr } = parse(expression)
  const faults = [...mixedLists(expr), ...messagesIn(expr).flatMap((one) => judge(one.messageName, fieldNames(one)))]
  if (faults.length > 0) throw new Error(faults.join('\n'))
  for (const message of messagesIn(expr)) becomeMapping(message)
  const bindings = Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, inward(value)]))
  const result = plan(celEnv(), expr)(bindings)
  if (isCelError(result)) throw new Error(`${result.message}, in: ${expression}`)
  return outward(result)
}

/** A result without the types of its objects. */
export function plain(result: Result): Json {
  if (Array.isArray(result)) return result.map(plain)
  if (result instanceof Map)
    return Object.fromEntries([...result].map(([name, value]: [string, Result]) => [name, plain(value)]))
  if (isMade(result))
    return Object.fromEntries(Object.entries(result.fields).map(([name, value]) => [name, plain(value)]))
  return result as Json
}

/** Whether it is an object of a message type. */
export function isMade(result: Result): result is Made {
  return typeof result === 'object' && result !== null && 'type' in result
}

type Expr = ReturnType<typeof parse>['expr']
type ExprKind = Expr['exprKind']
type Struct = Extract<ExprKind, { case: 'structExpr' }>['value']
type List = Extract<ExprKind, { case: 'listExpr' }>['value']

/** No field is called so. */
const TYPE = '\0type'

function nodesIn(node: unknown): readonly object[] {
  if (typeof node !== 'object' || node === null) return []
  return [node, ...Object.values(node).flatMap(nodesIn)]
}

function messagesIn(expr: Expr): readonly Struct[] {
  return nodesIn(expr).filter(
    (node): node is Struct =>
      isNode(node, 'cel.expr.Expr.CreateStruct') && 'messageName' in node && node.messageName !== '',
  )
}

function isNode(node: object, name: string): boolean {
  return '$typeName' in node && node.$typeName === name
}

function fieldNames({ entries }: Struct): readonly string[] {
  return entries.map(({ keyKind }) => (keyKind.case === 'fieldKey' ? keyKind.value : '?'))
}

function becomeMapping(message: Struct): void {
  for (const entry of message.entries)
    entry.keyKind = { case: 'mapKey', value: text(entry.keyKind.case === 'fieldKey' ? entry.keyKind.value : '?') }
  message.entries.push({
    $typeName: 'cel.expr.Expr.CreateStruct.Entry',
    id: 0n,
    keyKind: { case: 'mapKey', value: text(TYPE) },
    value: text(message.messageName),
    optionalEntry: false,
  })
  message.messageName = ''
}

function text(value: string): Expr {
  const constant = { $typeName: 'cel.expr.Constant', constantKind: { case: 'stringValue', value } } as const
  return { $typeName: 'cel.expr.Expr', id: 0n, exprKind: { case: 'constExpr', value: constant } }
}

/** An API server has literals of one type alone: `HomogeneousAggregateLiterals`. Elements whose type is to be seen are compared. */
function mixedLists(expr: Expr): readonly string[] {
  const lists = nodesIn(expr).filter((node): node is List => isNode(node, 'cel.expr.Expr.CreateList'))
  return lists
    .map(({ elements }) => new Set(elements.map(seenType).filter((type) => type !== undefined)))
    .filter(({ size }) => size > 1)
    .map((types) => `a list of more than one type: ${[...types].join(', ')}`)
}

function seenType({ exprKind }: Expr): string | undefined {
  if (exprKind.case === 'constExpr') return exprKind.value.constantKind.case
  if (exprKind.case === 'structExpr') return exprKind.value.messageName || 'a mapping'
  return exprKind.case === 'listExpr' ? 'a list' : undefined
}

function inward(value: Json): CelInput {
  if (Array.isArray(value)) return value.map(inward)
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : value
  if (typeof value === 'object' && value !== null)
    return new Map(Object.entries(value).map(([name, one]) => [name, inward(one)]))
  return value
}

function outward(value: CelValue): Result {
  if (isCelList(value)) return [...value].map(outward)
  if (isCelMap(value)) return mappingOutward(new Map([...value].map(([key, one]) => [textOf(key), outward(one)])))
  if (typeof value === 'bigint') return Number(value)
  if (value === null || ['boolean', 'number', 'string'].includes(typeof value)) return value as Result
  throw new Error('a value that JSON has not')
}

function textOf(key: unknown): string {
  if (typeof key === 'string') return key
  throw new Error('a key that JSON has not')
}

function mappingOutward(mapping: ReadonlyMap<string, Result>): Result {
  const type = mapping.get(TYPE)
  if (typeof type !== 'string') return mapping
  return { type, fields: Object.fromEntries([...mapping].filter(([name]) => name !== TYPE)) }
}

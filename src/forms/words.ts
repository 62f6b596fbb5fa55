import { didYouMean } from './near.ts'
import { z } from './zod.ts'

type RawIssue = z.core.$ZodRawIssue
type TypeIssue = RawIssue & { code: 'invalid_type' }

/**
 * Says in words what a value should have been. Given to zod for every parse; undefined leaves its own words, and a
 * message that a schema brings along comes before either. The value itself is never repeated: it may be a secret that
 * stands where it should not.
 */
export function inWords(issue: RawIssue): string | undefined {
  switch (issue.code) {
    case 'unrecognized_keys':
      return unknownKeys(issue.keys, knownKeys(issue.inst))
    case 'invalid_type':
      return typeWords(issue)
    case 'invalid_value':
      return oneOf(issue.values.map(String), issue.input)
    case 'invalid_union':
      return `use ${alternatives(issue.errors).join(' or ')}`
    case 'too_small':
      return tooSmall(issue.origin, issue.minimum)
    case 'too_big':
      return issue.maximum === Number.MAX_SAFE_INTEGER ? 'use a smaller number' : `use ${String(issue.maximum)} or less`
    case 'invalid_format':
    case 'invalid_key':
    case 'invalid_element':
    case 'not_multiple_of':
    case 'custom':
      return undefined
    default:
      return unforeseen(issue)
  }
}

/** A code that zod does not have yet. */
function unforeseen(_issue: never): undefined {
  return undefined
}

function typeWords(issue: TypeIssue): string {
  const described = issue.inst instanceof z.ZodType ? z.globalRegistry.get(issue.inst)?.description : undefined
  const form = expectedBy(issue) + quotes(issue) + (described === undefined ? '' : ` (${described})`)
  if (issue.input === undefined) return `missing: use ${form}`
  if (issue.input === null) return `is empty: use ${form}`
  return `use ${form}`
}

/** YAML tells `0660` and `"0660"` apart, people seldom do. */
function quotes({ expected, input }: TypeIssue): string {
  if (expected === 'string') return typeof input === 'number' || typeof input === 'boolean' ? ', in quotes' : ''
  return typeof input === 'string' && (expected === 'number' || expected === 'boolean') ? ', without quotes' : ''
}

function alternatives(errors: readonly (readonly z.core.$ZodIssue[])[]): string[] {
  return errors.flatMap(([first]) => {
    if (first?.code !== 'invalid_type') return []
    return first.path.length === 0 ? nameOf(first.expected) : `a list, each of it ${nameOf(first.expected)}`
  })
}

function tooSmall(origin: string, minimum: number | bigint): string {
  if (origin === 'string') return 'use a text that is not empty'
  return origin === 'array' ? `name at least ${String(minimum)}` : `use ${String(minimum)} or more`
}

function nameOf(type: string): string {
  return TYPE_NAMES[type] ?? type
}

/** Of a whole number zod expects a number, until it gets one. */
function expectedBy({ expected, inst }: TypeIssue): string {
  return nameOf(inst instanceof z.ZodNumberFormat ? 'int' : expected)
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  object: 'a mapping',
  record: 'a mapping of names',
  array: 'a list',
  int: 'a whole number',
  number: 'a number',
  string: 'a text',
  boolean: 'true or false',
}

/** All of a mapping get one message. */
function unknownKeys(keys: readonly string[], known: readonly string[]): string {
  return `${didYouMean(keys, known)}unknown key; known here: ${known.join(', ')}`
}

function oneOf(values: readonly string[], input: unknown): string {
  return `${didYouMean([input], values)}use one of ${values.join(', ')}`
}

function knownKeys(schema: unknown): readonly string[] {
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : []
}

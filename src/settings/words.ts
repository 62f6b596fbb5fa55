import { z } from '../forms/zod.ts'

type RawIssue = z.core.$ZodRawIssue

/**
 * Says in words what a value should have been. Given to zod for every parse; undefined leaves its own words, and a
 * message that a schema brings along comes before either. The value itself is never repeated: it may be a secret that
 * stands where it should not.
 */
export function inWords(issue: RawIssue): string | undefined {
  switch (issue.code) {
    case 'unrecognized_keys':
      return `unknown key; known here: ${knownKeys(issue.inst).join(', ')}`
    case 'invalid_type':
      return issue.input === undefined ? `missing: ${expectation(issue)}` : `use ${expectation(issue)}`
    case 'invalid_value':
      return `use one of ${issue.values.map(String).join(', ')}`
    case 'too_small':
      return issue.origin === 'string' ? 'must not be empty' : `use ${String(issue.minimum)} or more`
    case 'too_big':
      return `use ${String(issue.maximum)} or less`
    default:
      return undefined
  }
}

function expectation(issue: RawIssue & { code: 'invalid_type' }): string {
  const described = issue.inst instanceof z.ZodType ? z.globalRegistry.get(issue.inst)?.description : undefined
  const article = /^[aeiou]/.test(issue.expected) ? 'an' : 'a'
  const type = TYPE_NAMES[issue.expected] ?? `${article} ${issue.expected}`
  return described === undefined ? type : `${type}: ${described}`
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  object: 'a mapping',
  record: 'a mapping of names',
  array: 'a list',
  int: 'a whole number',
  string: 'a text',
  boolean: 'true or false',
}

function knownKeys(schema: unknown): readonly string[] {
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : []
}

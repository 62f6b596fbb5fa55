import { z } from '../forms/zod.ts'
import type { Members } from './token.ts'

/** Where a token says what its caller belongs to. */
export const groupRules = z.strictObject({
  claim: z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]).meta({
    description:
      'name of the claim: a list, or a text of names with blanks between; a list of names leads to one within others',
  }),
  prefix: z
    .string()
    .max(64)
    .regex(/^[!-~]*$/, 'use visible ASCII, as in "okta:"')
    .default('')
    .meta({ description: 'put before each, so that two issuers cannot mean one group' }),
})

/** Groups as the settings say them. */
export type GroupRules = z.infer<typeof groupRules>

const MAX_GROUPS = 200
const MAX_CHARS = 256

/**
 * The groups that a token names, each once; none where the claim is missing. Undefined: the claim is no list of groups,
 * or one too long. It is not cut: who would say which groups to leave out?
 */
export function groupsIn(claims: Members, { claim, prefix }: GroupRules): readonly string[] | undefined {
  const names = namesIn(valueAt(claims, [claim].flat()))
  if (!names || names.length > MAX_GROUPS) return undefined
  const groups = names.map((name) => prefix + name)
  return groups.every(isGroup) ? [...new Set(groups)] : undefined
}

/** Control characters are in no name that a person gave. */
function isGroup(name: string): boolean {
  return name.length <= MAX_CHARS && /^[^\p{C}]+$/u.test(name)
}

/** A list of texts, or one text with blanks between; undefined: something else. */
export function namesIn(value: unknown): readonly string[] | undefined {
  if (value === undefined || value === null) return []
  if (typeof value === 'string') return value.split(' ').filter((name) => name !== '')
  return Array.isArray(value) && value.every((name) => typeof name === 'string') ? value : undefined
}

function valueAt(claims: Members, [first = '', ...rest]: readonly string[]): unknown {
  let value = claims.get(first)
  for (const name of rest) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Readonly<Record<string, unknown>>)[name] // it is an object, and has it
  }
  return value
}

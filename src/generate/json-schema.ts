import { claimValue } from '../callers/claims.ts'
import { jwksFile, jwksUrl } from '../callers/token-settings.ts'
import { cidr, fileReference, hostPattern } from '../forms/network.ts'
import { z } from '../forms/zod.ts'
import { listen } from '../listeners/settings.ts'
import { settingsSchema } from '../settings/schema.ts'
import type { SchemaNode } from './schema-node.ts'

/** What to call texts of a certain form; the reference says "list of hosts" by it, and editors show it. */
const TITLES = new Map<unknown, string>([
  [hostPattern, 'host'],
  [cidr, 'address range'],
  [listen, 'listen address'],
  [fileReference, 'file reference'],
  [jwksFile, 'file reference'],
  [jwksUrl, 'URL reference'],
  [claimValue, 'value'],
])

/** The settings as JSON Schema, draft 2020-12, as a person or an editor writes them: before defaults. Keys are in order. */
export function settingsJsonSchema(): SchemaNode {
  const schema = z.toJSONSchema(settingsSchema, { io: 'input', override: annotate })
  return ordered({ $id: 'urn:sallyport:settings', ...schema }) as SchemaNode /* the keywords in use are all there */
}

interface Generated {
  readonly zodSchema: z.core.$ZodTypes
  readonly jsonSchema: z.core.JSONSchema.BaseSchema
}

function annotate({ zodSchema, jsonSchema }: Generated): void {
  const title = TITLES.get(zodSchema)
  if (title !== undefined) jsonSchema.title = title
  // zod leaves out the default of what it transforms; an empty list or mapping is the same before and after.
  const { def } = zodSchema._zod
  if (def.type === 'default' && isEmpty(def.defaultValue)) jsonSchema.default = def.defaultValue
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0
}

/** Keywords in reading order; whatever else there is, before the parts. */
const FIRST = ['$schema', '$id', '$ref', 'title', 'description', 'type', 'const', 'enum', 'default']
const LAST = ['required', 'propertyNames', 'properties', 'additionalProperties', 'items', 'oneOf', 'anyOf', '$defs']
/** Keywords whose own keys are names, in the order in which the schema declares them. */
const NAMED = new Set(['properties', '$defs'])
/** Keywords that hold values, not schemas. */
const VALUES = new Set(['const', 'enum', 'default', 'required'])

function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered)
  if (typeof value !== 'object' || value === null) return value
  const rows = Object.entries(value).filter(([keyword]) => keyword !== '~standard')
  rows.sort(([one], [other]) => rank(one) - rank(other) || (one < other ? -1 : 1))
  return Object.fromEntries(rows.map(([keyword, part]) => [keyword, orderedPart(keyword, part)]))
}

function orderedPart(keyword: string, part: unknown): unknown {
  if (VALUES.has(keyword)) return part
  if (!NAMED.has(keyword)) return ordered(part)
  return Object.fromEntries(
    Object.entries(part as object /* by the vocabulary */).map(([name, one]) => [name, ordered(one)]),
  )
}

function rank(keyword: string): number {
  const first = FIRST.indexOf(keyword)
  if (first !== -1) return first
  return FIRST.length + 1 + LAST.indexOf(keyword)
}

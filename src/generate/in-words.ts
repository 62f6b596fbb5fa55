import { code, prose } from './markdown.ts'
import { idOf, kindOf, type SchemaNode } from './schema-node.ts'

/** A type as people say it, of one and of many. */
interface Words {
  readonly one: string
  readonly many: string
}

/** What the types that have a name are, and where they are described. */
export interface Names {
  readonly definitions: Readonly<Record<string, SchemaNode>>
  /** Link target of the section about a definition. */
  linkTo(id: string): string
}

/** The type of a setting, as Markdown. */
export function typeInWords(node: SchemaNode, names: Names): string {
  return wordsOf(node, names).one
}

function wordsOf(node: SchemaNode, names: Names): Words {
  if (node.$ref !== undefined) return referenceWords(idOf(node.$ref), names)
  if (node.title !== undefined) return plain(node.title)
  if (node.enum) return same(node.enum.map((value) => code(String(value))).join(', '))
  if (node.anyOf) return same(node.anyOf.map((one) => wordsOf(one, names).one).join(' or '))
  if (node.format === 'date-time') return plain('time')
  return typeWords(node, names)
}

function typeWords(node: SchemaNode, names: Names): Words {
  switch (node.type) {
    case 'array':
      return { one: `list of ${itemWords(node, names)}`, many: `lists of ${itemWords(node, names)}` }
    case 'object':
      return node.additionalProperties
        ? same(`mapping of names to ${wordsOf(node.additionalProperties, names).many}`)
        : plain('mapping')
    case 'integer':
      return { one: `whole number${range(node)}`, many: `whole numbers${range(node)}` }
    case 'number':
      return { one: `number${range(node)}`, many: `numbers${range(node)}` }
    case 'boolean':
      return same('`true` or `false`')
    default:
      return plain('text')
  }
}

function itemWords({ items }: SchemaNode, names: Names): string {
  return items ? wordsOf(items, names).many : 'anything'
}

/** A reference to a secret by the keys it may have; whatever else has a name by that name. */
function referenceWords(id: string, names: Names): Words {
  const definition = names.definitions[id]
  const link = (text: string) => `[${text}](${names.linkTo(id)})`
  if (definition?.anyOf) return same(link(`${definition.anyOf.map(kindOf).join(' or ')} reference`))
  const name = id.replace(/(?<=[a-z])(?=[A-Z])/g, ' ').toLowerCase()
  return { one: link(name), many: link(`${name}s`) }
}

function range({ minimum = 0, maximum = Number.MAX_SAFE_INTEGER }: SchemaNode): string {
  return maximum === Number.MAX_SAFE_INTEGER ? ` from ${minimum}` : ` from ${minimum} to ${maximum}`
}

function plain(text: string): Words {
  return { one: prose(text), many: prose(text.endsWith('address') ? `${text}es` : `${text}s`) }
}

function same(text: string): Words {
  return { one: text, many: text }
}

/** What holds where a setting is not written, as Markdown. */
export function defaultInWords(node: SchemaNode, isRequired: boolean): string {
  if (isRequired) return '**required**'
  if (node.default === undefined) return 'none'
  return node.default === Number.MAX_SAFE_INTEGER ? 'no limit' : code(yaml(node.default))
}

/** A value as a settings file would have it, on one line. */
function yaml(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? '[]' : `[ ${value.map(yaml).join(', ')} ]`
  if (typeof value === 'object' && value !== null) {
    const rows = Object.entries(value).map(([key, one]) => `${key}: ${yaml(one)}`)
    return rows.length === 0 ? '{}' : `{ ${rows.join(', ')} }`
  }
  return typeof value === 'string' && /^[a-z][\w-]*$/i.test(value) ? value : JSON.stringify(value)
}

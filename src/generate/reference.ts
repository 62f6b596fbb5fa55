import { defaultInWords, type Names, typeInWords } from './in-words.ts'
import { anchor, code, prose, table } from './markdown.ts'
import { texts } from './prose.ts'
import { kindOf, type SchemaNode } from './schema-node.ts'
import { type Section, sections } from './sections.ts'

/**
 * The reference for people, as Markdown: prose from prose.ts, everything else from the schema.
 * @throws Error when a setting has no description, or a part of the schema no section
 */
export function reference(schema: SchemaNode): string {
  const names: Names = { definitions: schema.$defs ?? {}, linkTo: (id) => anchor(sectionOf(id).title) }
  const parts = [
    texts.intro,
    '## Top level',
    settingsTable(topRows(schema, names)),
    ...sections.flatMap((section) => [`## ${section.title}`, section.text, ...chapters(section, schema, names)]),
  ]
  return `${parts.join('\n\n')}\n`
}

function sectionOf(part: string): Section {
  const section = sections.find(({ parts }) => parts.includes(part))
  if (!section) throw new Error(`give ${part} a section in src/generate/sections.ts`)
  return section
}

/** One table for a mapping, one with a heading for each kind of a union. */
function chapters({ parts }: Section, schema: SchemaNode, names: Names): string[] {
  return parts.flatMap((part) => {
    const node = schema.$defs?.[part] ?? schema.properties?.[part]
    if (!node) throw new Error(`src/generate/sections.ts names ${part}, which is not in the schema`)
    const kinds = node.oneOf ?? node.anyOf
    if (kinds) return kinds.flatMap((kind) => chapter(code(kindOf(kind)), kind, names))
    return parts.length > 1 && schema.$defs?.[part] ? chapter(part, node, names) : [settingsTable(rowsOf(node, names))]
  })
}

function chapter(title: string, node: SchemaNode, names: Names): string[] {
  const rows = rowsOf(node, names)
  const body = rows.length === 0 ? 'It has no settings of its own.' : settingsTable(rows)
  return [`### ${title}`, sentence(described(node, title)), body]
}

type Row = readonly [setting: string, type: string, preset: string, purpose: string]

function settingsTable(rows: readonly Row[]): string {
  return table(['setting', 'type', 'default', 'what it does'], rows)
}

/** The top level links to the sections instead of repeating them. */
function topRows(schema: SchemaNode, names: Names): Row[] {
  return propertiesOf(schema).map(({ name, node, isRequired }) => {
    const type = isMapping(node) ? `[mapping](${anchor(sectionOf(name).title)})` : typeInWords(node, names)
    return [code(name), type, defaultInWords(node, isRequired), prose(described(node, name))]
  })
}

/** Mappings within are listed as dotted paths, after a row of their own. `kind` is in the heading. */
function rowsOf(parent: SchemaNode, names: Names, prefix = ''): Row[] {
  return propertiesOf(parent).flatMap(({ name, node, isRequired }): Row[] => {
    if (node.const !== undefined) return []
    const path = prefix + name
    const row: Row = [
      code(path),
      typeInWords(node, names),
      defaultInWords(node, isRequired),
      prose(described(node, path)),
    ]
    return isMapping(node) ? [row, ...rowsOf(node, names, `${path}.`)] : [row]
  })
}

function propertiesOf({ properties = {}, required = [] }: SchemaNode) {
  return Object.entries(properties).map(([name, node]) => ({ name, node, isRequired: required.includes(name) }))
}

function isMapping({ properties, title }: SchemaNode): boolean {
  return properties !== undefined && title === undefined
}

function described({ description }: SchemaNode, name: string): string {
  if (description === undefined) throw new Error(`describe ${name} in its schema, with .meta({ description })`)
  return description
}

function sentence(text: string): string {
  const [first = '', ...rest] = prose(text)
  return `${first.toUpperCase()}${rest.join('')}.`
}

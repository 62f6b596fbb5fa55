import { Document, type Node, Pair, Scalar, stringify, YAMLMap, YAMLSeq } from 'yaml'

/** Plain data as people read it. */
export function yamlText(value: object): string {
  return stringify(value, { lineWidth: 0 })
}

/** An item of a list with a reason, which stands above it as a comment. */
export class Remarked {
  readonly value: unknown
  readonly remarks: readonly string[]

  constructor(value: unknown, remarks: readonly string[]) {
    this.value = value
    this.remarks = remarks
  }
}

/** Several documents with their comments. `heading`: what stands above each. */
export function remarkedYaml(
  documents: readonly { readonly heading: readonly string[]; readonly value: object }[],
): string {
  const texts = documents.map(({ heading, value }) => {
    // kubectl reads YAML 1.1, where a plain "on" is no text.
    const document = new Document(undefined, { compat: 'yaml-1.1' })
    document.contents = nodeOf(value)
    return heading.map(comment).join('') + document.toString({ lineWidth: 0 })
  })
  return texts.join('---\n')
}

/** What somebody else has named may hold a line break, and then would be more than a comment. */
function comment(line: string): string {
  return `# ${line.replace(/[^ -~]/g, '?')}\n`
}

function nodeOf(value: unknown): Node {
  if (value instanceof Remarked) {
    const node = nodeOf(value.value)
    node.commentBefore = value.remarks.map((remark) => comment(remark).slice(1, -1)).join('\n')
    return node
  }
  if (Array.isArray(value)) return filled(new YAMLSeq(), value.map(nodeOf))
  if (typeof value !== 'object' || value === null) return new Scalar(value)
  const pairs = Object.entries(value).filter(([, item]) => item !== undefined)
  return filled(
    new YAMLMap(),
    pairs.map(([key, item]) => new Pair(new Scalar(key), nodeOf(item))),
  )
}

function filled<T extends { items: unknown[]; flow?: boolean }>(collection: T, items: unknown[]): T {
  collection.items = items
  if (items.length === 0) collection.flow = true
  return collection
}

import { isMap, LineCounter, type Node, parseDocument } from 'yaml'
import { pathText, type SettingsFault } from './fault.ts'

/** A settings file as text with places in it. The one home of the YAML package. */
export interface SettingsDocument {
  readonly value: unknown
  /** What YAML itself says against the text; when there are any, `value` means nothing. */
  readonly faults: readonly string[]
  /** `file:line:col path: message` */
  locate(fault: SettingsFault): string
}

/** Reads YAML 1.2 strictly: no duplicate keys, few aliases (a bomb of them fits in a kilobyte). */
export function readDocument(text: string, file: string): SettingsDocument {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true, strict: true })
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return `${file}:${line}:${col}`
  }
  const errors = [...document.errors, ...document.warnings]
  return {
    ...valueOf(
      document,
      errors.map((error) => `${at(error.pos[0])} ${yamlWords(error.code, error.message)}`),
      file,
    ),
    locate(fault) {
      const path = fault.key === undefined ? fault.path : [...fault.path, fault.key]
      return `${at(offsetOf(document, fault))} ${pathText(path)}: ${fault.message}`
    },
  }
}

type YamlDocument = ReturnType<typeof parseDocument>

function valueOf(document: YamlDocument, faults: string[], file: string): Pick<SettingsDocument, 'value' | 'faults'> {
  if (faults.length > 0) return { value: undefined, faults }
  try {
    return { value: document.toJS({ maxAliasCount: 10 }), faults }
  } catch {
    return { value: undefined, faults: [`${file}:1:1 use fewer aliases: ten at most`] }
  }
}

/** YAML's own words, which may quote the text, only where they cannot quote a value. */
function yamlWords(code: string, message: string): string {
  if (code === 'DUPLICATE_KEY') return 'use each key once in a mapping'
  if (code === 'TAB_AS_INDENT') return 'use spaces to indent'
  if (code === 'BAD_INDENT' || code === 'MISSING_CHAR' || code === 'BLOCK_AS_IMPLICIT_KEY')
    return message.split('\n')[0] ?? code
  return `is not YAML (${code.toLowerCase().replaceAll('_', ' ')})`
}

/** Where a fault is: its node, or the nearest one above that is written down. */
function offsetOf(document: YamlDocument, { path, key }: SettingsFault): number {
  for (let depth = path.length; depth >= 0; depth--) {
    const node = depth === 0 ? document.contents : nodeAt(document, path.slice(0, depth))
    const offset =
      node && depth === path.length && key !== undefined ? (keyOffset(node, key) ?? node.range?.[0]) : node?.range?.[0]
    if (offset !== undefined) return offset
  }
  return 0
}

function nodeAt(document: YamlDocument, path: readonly PropertyKey[]): Node | undefined {
  const node: unknown = document.getIn(path, true)
  return typeof node === 'object' && node !== null && 'range' in node
    ? (node as Node) /* what getIn gives with keepScalar */
    : undefined
}

function keyOffset(node: Node, key: string): number | undefined {
  if (!isMap(node)) return undefined
  const pair = node.items.find((item) => String(item.key) === key)
  return (pair?.key as Node | undefined)?.range?.[0]
}

import { type Alias, isMap, isScalar, LineCounter, type Node, parseDocument, visit } from 'yaml'
import { pathText, type SettingsFault } from './fault.ts'
import { yamlWords } from './yaml-words.ts'

/** A settings file as text with places in it. The one home of the YAML package. */
export interface SettingsDocument {
  readonly value: unknown
  /** What YAML itself says against the text, in the order of the file; when there is any, `value` means nothing. */
  readonly faults: readonly string[]
  /** `file:line:col path: message` */
  readonly locate: (fault: SettingsFault) => string
  /** The same for many: in the order of the file, each once. */
  readonly locateAll: (faults: readonly SettingsFault[]) => string[]
}

/** Each alias repeats what it refers to: a kilobyte of them makes gigabytes. */
const MAX_ALIASES = 10

/** Reads YAML 1.2 strictly: one document, no duplicate keys, few aliases. */
export function readDocument(text: string, file: string): SettingsDocument {
  const lines = new LineCounter()
  const options = { lineCounter: lines, prettyErrors: false, uniqueKeys: true, strict: true, stringKeys: true } as const
  const document = parseDocument(text, options)
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return `${file}:${Math.max(line, 1)}:${Math.max(col, 1)}`
  }
  const locate = (fault: SettingsFault) => {
    const where = pathText(fault.key === undefined ? fault.path : [...fault.path, fault.key])
    return `${at(offsetOf(document, fault))} ${where === '' ? '' : `${where}: `}${fault.message}`
  }
  const { value, faults } = valueOf(document)
  return {
    value,
    faults: firstAtEach(faults).map(({ offset, message }) => `${at(offset)} ${message}`),
    locate,
    locateAll(all) {
      const placed = all.map((fault) => ({ offset: offsetOf(document, fault), line: locate(fault) }))
      return [...new Set(placed.toSorted(byOffset).map(({ line }) => line))]
    },
  }
}

type YamlDocument = ReturnType<typeof parseDocument>

interface TextFault {
  readonly offset: number
  readonly message: string
}

function byOffset(one: { readonly offset: number }, other: { readonly offset: number }): number {
  return one.offset - other.offset
}

/** YAML finds several things wrong with one slip. */
function firstAtEach(faults: readonly TextFault[]): readonly TextFault[] {
  const sorted = faults.toSorted(byOffset)
  return sorted.filter(({ offset }, index) => offset !== sorted[index - 1]?.offset)
}

function valueOf(document: YamlDocument): { value: unknown; faults: readonly TextFault[] } {
  const errors = [...document.errors, ...document.warnings]
  // YAML says this once for each level from here on, which may be thousands.
  const tooDeep = errors.find(({ code }) => code === 'RESOURCE_EXHAUSTION')
  const faults = (tooDeep ? [tooDeep] : errors).map((error) => ({
    offset: error.pos[0],
    message: yamlWords(error.code),
  }))
  // What could not be read as YAML is not worth looking into.
  const all = faults.length > 0 ? faults : [...faultsOfForm(document), ...faultsOfAliases(document)]
  return all.length > 0 ? { value: undefined, faults: all } : expand(document)
}

function expand(document: YamlDocument): { value: unknown; faults: readonly TextFault[] } {
  try {
    return { value: document.toJS({ maxAliasCount: MAX_ALIASES }), faults: [] }
  } catch {
    return { value: undefined, faults: [tooMany(aliasesOf(document)[0])] }
  }
}

/** What is YAML, but reads differently elsewhere. */
function faultsOfForm(document: YamlDocument): TextFault[] {
  const faults: TextFault[] = []
  const version = document.directives?.yaml
  if (version?.explicit === true && version.version !== '1.2') {
    faults.push({ offset: 0, message: 'leave "%YAML" out: settings are YAML 1.2' })
  }
  visit(document, {
    Pair(_, { key }) {
      // Objects of JavaScript have one already, and whatever is written here would be lost.
      if (isScalar(key) && key.value === '__proto__') faults.push({ offset: startOf(key), message: 'use another key' })
    },
  })
  return faults
}

function faultsOfAliases(document: YamlDocument): TextFault[] {
  const aliases = aliasesOf(document)
  if (aliases.length > MAX_ALIASES) return [tooMany(aliases[MAX_ALIASES])]
  const message = 'put the text in quotes, or set the anchor above: "*" at its start refers to one'
  return aliases.filter((alias) => !isSetAbove(alias, document)).map((alias) => ({ offset: startOf(alias), message }))
}

function aliasesOf(document: YamlDocument): Alias[] {
  const aliases: Alias[] = []
  visit(document, {
    Alias(_, alias) {
      aliases.push(alias)
    },
  })
  return aliases
}

/** The anchor is closed before the alias: one inside what it refers to would have no end. */
function isSetAbove(alias: Alias, document: YamlDocument): boolean {
  const end = alias.resolve(document)?.range?.[1]
  return end !== undefined && end <= startOf(alias)
}

function tooMany(alias: Alias | undefined): TextFault {
  return { offset: alias ? startOf(alias) : 0, message: 'write it out: aliases may repeat ten things at most' }
}

function startOf({ range }: Node): number {
  return range?.[0] ?? 0
}

/** Where a fault is: its node, or the nearest one above that is written down. */
function offsetOf(document: YamlDocument, { path, key }: SettingsFault): number {
  for (let depth = path.length; depth >= 0; depth--) {
    const node = depth === 0 ? document.contents : nodeAt(document, path.slice(0, depth))
    const keyNode = node && depth === path.length && key !== undefined ? keyIn(node, key) : undefined
    const offset = (keyNode ?? node)?.range?.[0]
    if (offset !== undefined) return offset
  }
  return 0
}

function nodeAt(document: YamlDocument, path: readonly PropertyKey[]): Node | undefined {
  const node: unknown = document.getIn(path, true)
  const isNode = typeof node === 'object' && node !== null && 'range' in node
  return isNode ? (node as Node) /* what getIn gives with keepScalar */ : undefined
}

function keyIn(node: Node, key: string): Node | undefined {
  if (!isMap(node)) return undefined
  const found = node.items.find((item) => isScalar(item.key) && item.key.value === key)
  return isScalar(found?.key) ? found.key : undefined
}

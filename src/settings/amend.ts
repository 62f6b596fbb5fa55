import { type Document, isMap, isScalar, isSeq, parseDocument } from 'yaml'

const SECTIONS = ['allowlist', 'connections', 'grants'] as const
const LIST = 'allowlist'

interface Terms {
  /** Whether the lists of the part go behind those of the text, or in their place; connections always go beside. */
  readonly isAddition: boolean
}

/**
 * A settings text with a part put into it; comments and references stay as they are.
 * @throws Error in words when it cannot be
 */
export function amend(text: string, part: string, { isAddition }: Terms): string {
  const whole: Document = parseDocument(text.replace(/^\uFEFF/, ''))
  const given: Document = parseDocument(part)
  if (!isMap(whole.contents)) throw new Error('settings are a mapping: use a settings file')
  for (const key of SECTIONS) {
    if (given.has(key)) put(key, { whole, given, isBeside: isAddition || key === 'connections' })
  }
  try {
    return commentsOf(part) + whole.toString({ lineWidth: 0 })
  } catch {
    throw new Error('something else in the settings file refers to a list that is replaced, by an alias: write it out')
  }
}

interface Place {
  readonly whole: Document
  readonly given: Document
  readonly isBeside: boolean
}

function put(key: (typeof SECTIONS)[number], { whole, given, isBeside }: Place): void {
  const path = key === LIST && isMap(whole.get(key)) ? [key, 'hosts'] : [key]
  const before: unknown = whole.getIn(path, true)
  const added: unknown = given.get(key, true)
  const isThere = (isSeq(before) && isSeq(added)) || (isMap(before) && isMap(added))
  if (isBeside && isThere) {
    for (const item of added.items) before.items.push(item as never /* of the same kind of collection */)
  } else if (isBeside && before !== undefined && !(isScalar(before) && before.value === null)) {
    throw new Error(`${path.join('.')} is written in a way that nothing can be added to: write it out`)
  } else whole.setIn(isBeside ? path : [key], added)
}

/** What people are to read of the part: the lines before its first section. */
function commentsOf(part: string): string {
  const lines = part.split('\n')
  const end = lines.findIndex((line) => !line.startsWith('#'))
  return lines
    .slice(0, end)
    .map((line) => `${line}\n`)
    .join('')
}

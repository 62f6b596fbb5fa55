/**
 * What a mistyped word may stand for, as the beginning of a message: `did you mean "bearer"? `, or nothing. Names known
 * words alone: the word itself may be a secret that stands where it should not.
 */
export function didYouMean(words: readonly unknown[], known: readonly string[]): string {
  const meant = new Set(words.flatMap((word) => (typeof word === 'string' ? nearest(word, known) : [])))
  return meant.size === 0 ? '' : `did you mean ${[...meant].map((name) => JSON.stringify(name)).join(' or ')}? `
}

const MOST_SLIPS = 2
/** No word is near to one that is so much longer, and a long text costs nothing. */
const LONGEST = 64

/** None, or the one that takes the fewest slips. */
function nearest(word: string, known: readonly string[]): string[] {
  if (word.length > LONGEST) return []
  // Of a short word hardly anything would be left.
  const most = Math.min(MOST_SLIPS, Math.floor((word.length - 1) / 2))
  const ranked = known.map((name) => ({ name, slips: slipsBetween(word, name) })).filter(({ slips }) => slips <= most)
  return ranked
    .toSorted((one, other) => one.slips - other.slips)
    .slice(0, 1)
    .map(({ name }) => name)
}

/** Letters that are missing, too many, wrong, or swapped with their neighbour (optimal string alignment). */
function slipsBetween(one: string, other: string): number {
  const [a, b] = [one.toLowerCase(), other.toLowerCase()]
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const now = [row]
    for (let column = 1; column <= b.length; column++) {
      const isSame = a[row - 1] === b[column - 1]
      const isSwapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      const changed = at(last, column - 1) + (isSame ? 0 : 1)
      const swapped = isSwapped ? at(before, column - 2) + 1 : changed
      now.push(Math.min(at(last, column) + 1, at(now, column - 1) + 1, changed, swapped))
    }
    ;[before, last] = [last, now]
  }
  return at(last, b.length)
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY
}

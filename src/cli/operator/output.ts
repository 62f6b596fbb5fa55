import { stripVTControlCharacters } from 'node:util'

/** A column of a table: its head, and what stands below it. */
export interface Column<T> {
  readonly head: string
  text(row: T): string | undefined
}

/** Rows for people: columns as wide as they have to be, nothing cut. */
export function tableOf<T>(rows: readonly T[], columns: readonly Column<T>[], none: string): string {
  if (rows.length === 0) return `${none}\n`
  const cells = [columns.map(({ head }) => head), ...rows.map((row) => columns.map(({ text }) => plain(text(row))))]
  const widths = columns.map((_, at) => Math.max(...cells.map((line) => line[at]?.length ?? 0)))
  return cells
    .map(
      (line) =>
        `${line
          .map((cell, at) => cell.padEnd(widths[at] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}

/** One thing for people: a line for each of what is known of it. */
export function factsOf(facts: Readonly<Record<string, string | number | undefined>>): string {
  const known = Object.entries(facts).filter(([, value]) => value !== undefined && value !== '')
  const width = Math.max(...known.map(([name]) => name.length))
  return known.map(([name, value]) => `${name.padEnd(width)}  ${plain(String(value))}\n`).join('')
}

/** For programs. */
export function jsonOf(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`
}

/** What a caller or an upstream has chosen must not speak to the terminal. */
function plain(text: string | undefined): string {
  return stripVTControlCharacters(text ?? '-').replace(/\p{C}/gu, '?')
}

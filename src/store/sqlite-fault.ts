import type { DatabaseFault } from './database.ts'

/** The file that is there now is not the one that was opened: whatever is written goes nowhere. */
export class SqliteFileReplaced extends Error {
  override readonly name = 'SqliteFileReplaced'
}

/** What SQLite failed at, in our words. @see https://sqlite.org/rescode.html */
export function sqliteFault(error: unknown, place: string): DatabaseFault {
  if (error instanceof SqliteFileReplaced)
    return { code: 'lost', words: `${place} was removed, or replaced by another file: start Sallyport again` }
  const code = resultCodeOf(error)
  // Whatever has no code of SQLite is of ours, and in words.
  if (code === undefined)
    return { code: 'lost', words: error instanceof Error ? error.message : `${place} cannot be used` }
  if (code === BUSY || code === LOCKED)
    return { code: 'busy', words: `another process is writing to ${place}, and does not end: find and stop it` }
  if (code === CONSTRAINT) return { code: 'taken', words: 'it is there already' }
  return { code: 'lost', words: `${place} ${WORDS.get(code) ?? `cannot be used (SQLite error ${code})`}` }
}

const BUSY = 5
const LOCKED = 6
const CONSTRAINT = 19

const WORDS = new Map([
  [8, 'may not be written: chown it and its directory to the user of Sallyport, on a disk that is not read-only'],
  [10, 'cannot be read or written: look at the disk'],
  [11, 'is damaged: put a backup in its place, or move it away to start with an empty one'],
  [13, 'cannot grow: the disk is full, so make room'],
  [14, 'cannot be opened: give it and its directory to the user of Sallyport'],
  [26, 'is not a database: name another file, or put a backup in its place'],
])

/** The primary code, without what the extended one adds. */
function resultCodeOf(error: unknown): number | undefined {
  const isOfSqlite = error instanceof Error && 'errcode' in error && typeof error.errcode === 'number'
  return isOfSqlite ? (error.errcode as number) & 0xff : undefined
}

import type { AuditRow } from './tables.ts'

/** What rows are ordered by: no two have all four. */
export type AuditPlace = Pick<AuditRow, 'time' | 'instance' | 'run' | 'seq'>

/** Where a page ended, as text that fits into a URL. */
export function cursorOf({ time, instance, run, seq }: AuditPlace): string {
  return Buffer.from(JSON.stringify([time, instance, run, seq])).toString('base64url')
}

/** @throws Error in words, when it is none of ours */
export function placeOfCursor(cursor: string): AuditPlace {
  const [time, instance, run, seq] = partsOf(cursor)
  if (typeof time === 'number' && typeof instance === 'string' && typeof run === 'string' && typeof seq === 'number')
    return { time, instance, run, seq }
  throw new Error('use the cursor as it was given, or none to begin anew')
}

function partsOf(cursor: string): readonly unknown[] {
  try {
    const parts: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
    return Array.isArray(parts) ? parts : []
  } catch {
    return []
  }
}

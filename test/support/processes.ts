import { readFileSync } from 'node:fs'

/** Whether a process has ended, buried or not. It may go between two looks: what cannot be read is not there any more. */
export function isGone(pid: number): boolean {
  try {
    return /\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return true
  }
}

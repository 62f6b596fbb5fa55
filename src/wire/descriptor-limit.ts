import { readFileSync } from 'node:fs'

/** How many descriptors this process may have open at once; undefined where the system does not say, or there is no limit. */
export function descriptorLimit(): number | undefined {
  try {
    const [, soft] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
    return soft === undefined ? undefined : Number(soft)
  } catch {
    return undefined
  }
}

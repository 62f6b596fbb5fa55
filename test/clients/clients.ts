import { hasTool } from '../support/debian.ts'
import { API_CLIENTS } from './api-clients.ts'
import { apt } from './apt.ts'
import type { Client, Way } from './client.ts'
import { git } from './git.ts'
import { BUILD_MS } from './go-program.ts'
import { npm } from './npm.ts'
import { pip } from './pip.ts'

/** All clients: what claims to work for all of them is tried with each. */
const CLIENTS: readonly Client[] = [...API_CLIENTS, git, pip, npm, apt]

/** Those that know this way. */
export function clientsOf(way: Way): readonly Client[] {
  return CLIENTS.filter(({ ways }) => ways.includes(way))
}

/** Whether something that it needs is not installed. */
export function isMissing({ needs }: Client): boolean {
  return !needs.every(hasTool)
}

/** ms that `prepareClients` may take. */
export const PREPARING_MS = BUILD_MS

/** Before the first test: what takes a client long the first time. */
export async function prepareClients(): Promise<void> {
  for (const client of CLIENTS) if (!isMissing(client)) await client.prepare?.()
}

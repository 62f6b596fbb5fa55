import { once } from 'node:events'
import type { Server } from 'node:https'
import { createInterface } from 'node:readline'
import { bind } from '../wire/listen.ts'
import type { Identity } from './certificates.ts'

/** What every server of the playground is told: over a pipe, so that no key is on disk or in the list of processes. */
export interface Orders extends Identity {
  readonly port: number
}

/**
 * The first line of standard input. The pipe stays open behind it, and its end is that of `npm start`, whatever that
 * died of: nothing may outlive it.
 */
export async function readOrders<T extends Orders>(): Promise<T> {
  const lines = createInterface({ input: process.stdin })
  lines.on('close', () => process.exit(0))
  const [line] = await once(lines, 'line')
  return JSON.parse(line)
}

/** Listens on loopback; what keeps it from that is said in words, for `npm start` to repeat. */
export async function listenOrExit(server: Server, port: number): Promise<void> {
  await bind(server, { kind: 'tcp', host: '127.0.0.1', port }).catch((error: Error) => {
    process.stderr.write(`${error.message}\n`)
    process.exit(1)
  })
}

/** Says that requests are answered from now on. */
export function sayReady(): void {
  process.stdout.write('ready\n')
}

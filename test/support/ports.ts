import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'

/** Nobody listens there: no kernel gives it to anybody by itself, and a port that was free a while ago may be taken by now. */
export const CLOSED_PORT = 1

/**
 * A port for a server that has to be known before it listens, or that goes and comes back. It lies below those that the kernel
 * gives to whoever asks for any: of these, any other test may have one between two of our lines.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = LOWEST + Math.floor(Math.random() * (lowestGiven() - LOWEST))
    if (await isFree(port)) return port
  }
}

/** Above what is well known, and what documents and examples name. */
const LOWEST = 20_000

/** As Linux has it, unless somebody has said otherwise. */
const USUAL = 32_768

function lowestGiven(): number {
  const range = '/proc/sys/net/ipv4/ip_local_port_range'
  const lowest = existsSync(range) ? Number.parseInt(readFileSync(range, 'utf8'), 10) : USUAL
  return lowest > LOWEST ? lowest : USUAL
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    await once(server.listen(port, '127.0.0.1'), 'listening')
  } catch {
    return false
  }
  server.close()
  await once(server, 'close')
  return true
}

/** An abstract Unix socket: one process of this machine can have it at a time, and it goes with that process. */
const TURN = '\0sallyport-tests: the ports that documents name'

/** How long whoever waits for its turn may have to: as long as another file takes, on a machine that is busy. */
export const TURN_MS = 600_000

/**
 * Waits until nobody else uses the ports that documents and examples name (15001 to 15091), and keeps others from them until
 * what this gives is called. Two files that did at the same time would each find the doors of the other one.
 */
export async function holdDocumentedPorts(): Promise<() => void> {
  if (process.platform !== 'linux') return () => undefined
  const server = createServer()
  for (;;) {
    try {
      await once(server.listen(TURN), 'listening')
      return () => void server.close()
    } catch {
      await wait(100)
    }
  }
}

import { getRequestListener } from '@hono/node-server'
import { createAdminApp } from './app.ts'
import type { AdminPorts } from './ports.ts'
import type { Line } from './serve.ts'

/** Answers one request that the door has let in. */
export type Answering = (line: Line) => Promise<void>

/** The app behind the admin door, and what it is made of: the API, its routes and schemas, Hono. */
export function createAnswering(ports: AdminPorts): Answering {
  const app = createAdminApp(ports)
  const peers = new WeakMap<Line['incoming'], Line['peer']>()
  const handle = getRequestListener(
    (request, env) => {
      const { incoming, outgoing } = env as Omit<Line, 'peer'> // of node:http alone
      return app.fetch(request, { incoming, outgoing, peer: peers.get(incoming) })
    },
    { overrideGlobalObjects: false },
  )
  return async function answer({ incoming, outgoing, peer }) {
    peers.set(incoming, peer)
    await handle(incoming, outgoing)
  }
}

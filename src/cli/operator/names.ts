import { z } from '../../forms/zod.ts'
import { ask } from './client.ts'
import { type DoorOptions, findDoor } from './door.ts'

/** Names that a shell can complete, as the running sidecar has them. */
export interface Names {
  readonly callers: readonly string[]
  readonly connections: readonly string[]
}

const page = z.object({ items: z.array(z.object({ name: z.string() })) })

/** No names, where no sidecar is found: a shell that completes says nothing of errors. */
export async function namesFrom(options: DoorOptions): Promise<Names> {
  try {
    const door = await findDoor(options)
    const [callers, connections] = await Promise.all(
      ['/v1/callers', '/v1/connections'].map(async (path) => ask(door, page, { path, query: { limit: 1000 } })),
    )
    return {
      callers: callers?.items.map(({ name }) => name) ?? [],
      connections: connections?.items.map(({ name }) => name) ?? [],
    }
  } catch {
    return { callers: [], connections: [] }
  }
}

import type { Settings } from './schema.ts'

/** What callers, operators or probes connect to. */
export interface Listening {
  /** Of its `listen` in the settings. */
  readonly path: readonly (string | number)[]
  readonly listen: string
  /** Of the socket that systemd opens for it; absent where Sallyport opens its own. */
  readonly systemd: string | undefined
}

type Doors = Pick<Settings, 'listeners' | 'admin' | 'health'>

/** All that listens by these settings: doors in their order, then those of operators and of probes. */
export function listeningIn({ listeners, admin, health }: Doors): readonly Listening[] {
  const doors = [
    ...listeners.map((door, index) => ({ path: ['listeners', index, 'listen'], door })),
    ...(admin ? [{ path: ['admin', 'listen'], door: admin }] : []),
    ...(health ? [{ path: ['health', 'listen'], door: health }] : []),
  ]
  return doors.map(({ path, door }) => ({
    path,
    listen: door.listen,
    systemd: 'systemd' in door ? door.systemd : undefined,
  }))
}

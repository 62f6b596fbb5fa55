import type { Peer } from '../core/ask.ts'
import { z } from '../forms/zod.ts'
import type { CallerKind, Finding, Named } from './method.ts'

/** The kernel's stand-in for an id it cannot express in this user namespace: it could be anybody. */
const OVERFLOW_ID = 65534
const id = z
  .int()
  .min(0)
  .max(0xff_ff_ff_fe)
  .refine(
    (value) => value !== OVERFLOW_ID,
    `use an id of its own: ${OVERFLOW_ID} is what the kernel shows for ids it cannot map, so it proves nobody`,
  )

const schema = z
  .strictObject({
    kind: z.literal('unix-peer'),
    uid: id.optional().meta({ description: 'user id of the calling process; use this, `gid` or both' }),
    gid: id.optional().meta({ description: 'primary group id of the calling process; use this, `uid` or both' }),
  })
  .refine((one) => one.uid !== undefined || one.gid !== undefined, 'use uid, gid or both')
  .meta({
    description: 'a process on this machine, as the kernel names it at the other end of a Unix socket (`SO_PEERCRED`)',
  })

type Settings = z.infer<typeof schema>

/**
 * A caller that the kernel vouches for. It speaks for the process that connected: a socket handed on to another process
 * keeps the identity of the one that opened it. uid and gid together beat uid alone, which beats gid alone.
 */
export const unixPeer: CallerKind<typeof schema> = {
  schema,
  proofIs: 'place',
  isAskedAgain: true,
  faults(callers) {
    const seen = new Map<string, string>()
    return callers.flatMap(({ name, settings }) => {
      const key = keyOf(settings.uid, settings.gid)
      const other = seen.get(key)
      seen.set(key, name)
      return other === undefined
        ? []
        : [
            {
              caller: name,
              message: `use another uid or gid: ${other} has the same, and a process can be only one caller`,
            },
          ]
    })
  },
  build(callers) {
    const byKey = index(callers)
    return {
      kind: 'unix-peer',
      identify({ peer }): Finding {
        if (!peer) return 'silent'
        const caller = lookUp(byKey, peer)
        return caller === undefined ? 'silent' : { caller }
      },
    }
  },
}

function index(callers: readonly Named<Settings>[]): ReadonlyMap<string, string> {
  return new Map(callers.map(({ name, settings }) => [keyOf(settings.uid, settings.gid), name]))
}

function lookUp(byKey: ReadonlyMap<string, string>, { uid, gid }: Peer): string | undefined {
  return byKey.get(keyOf(uid, gid)) ?? byKey.get(keyOf(uid, undefined)) ?? byKey.get(keyOf(undefined, gid))
}

function keyOf(uid: number | undefined, gid: number | undefined): string {
  return `${uid ?? ''}:${gid ?? ''}`
}

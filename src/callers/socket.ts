import { z } from '../forms/zod.ts'
import type { CallerKind, Finding } from './method.ts'

const schema = z
  .strictObject({
    kind: z.literal('socket'),
    unsafeAnyLocalProcess: z.boolean().default(false).meta({
      description:
        'lets a TCP door name this caller, which then is every process of this machine, and every web page a browser on it shows',
    }),
  })
  .meta({ description: 'whoever can open the door that names this caller: file permissions are the proof' })

/** A caller that is known by the door it came through; a listener names it with `caller`. */
export const socket: CallerKind<typeof schema> = {
  schema,
  proofIs: 'place',
  isAskedAgain: true,
  build(callers) {
    const names = new Set(callers.map(({ name }) => name))
    return {
      kind: 'socket',
      identify({ doorCaller }): Finding {
        return doorCaller !== undefined && names.has(doorCaller) ? { caller: doorCaller } : 'silent'
      },
    }
  },
}

import { callerSettings } from '../callers/registry.ts'
import { z } from '../forms/zod.ts'
import { ROLES } from './role.ts'

/** One operator: what it may do, and how it proves itself. */
export const operatorSettings = z
  .strictObject({
    role: z.enum(ROLES).meta({
      description:
        '`viewer` looks at everything but secrets, `granter` also grants, revokes and adds callers, `admin` does everything',
    }),
    proof: callerSettings.meta({ description: 'how it proves itself: any kind of caller that fits the door' }),
  })
  .meta({ id: 'Operator', description: 'somebody who may use the admin API' })

export type OperatorSettings = z.infer<typeof operatorSettings>

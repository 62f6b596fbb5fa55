import { z } from '../forms/zod.ts'
import type { SourceKind } from './tools.ts'

const schema = z
  .strictObject({ kind: z.literal('none') })
  .meta({ description: 'nothing is injected: the connection is guarded by its grants alone' })

/** No credential at all. */
export const none: SourceKind<typeof schema> = {
  schema,
  build: () => ({
    obtain: () => undefined,
    rejected: async () => undefined,
    state: () => ({ phase: 'none' }),
  }),
}

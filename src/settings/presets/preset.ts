import { z } from '../../forms/zod.ts'

const reason = z.string().min(1)

/**
 * What a preset is: data, and no code. `{name}` in a text stands for a parameter. `kinds`: what it fills in for each kind of
 * credential; what the settings say themselves goes before it.
 */
export const presetSchema = z.strictObject({
  about: z.string().min(1),
  parameters: z.record(
    z.string().regex(/^[a-z][a-zA-Z]*$/),
    z.strictObject({
      about: z.string().min(1),
      form: z.enum(['host', 'word', 'text']),
      default: z.string().optional(),
      /** Without a value it is the first exact host of the connection. */
      isFirstHost: z.literal(true).optional(),
    }),
  ),
  kinds: z.record(
    z.string(),
    z.strictObject({ credential: z.record(z.string(), z.unknown()), inject: z.record(z.string(), z.unknown()) }),
  ),
  /** Settings of the credential that the service cannot do without, and that nobody can know beforehand. */
  needs: z.array(z.strictObject({ setting: z.string(), of: z.array(z.string()).min(1), why: reason })).default([]),
  /** Settings of the credential that the service refuses: all of them together, or the one alone. The last one is named. */
  forbids: z
    .array(z.strictObject({ together: z.array(z.string()).min(1), of: z.array(z.string()).min(1), why: reason }))
    .default([]),
})

export type Preset = z.infer<typeof presetSchema>
/** What a preset says of one of its parameters. */
export type Parameter = Preset['parameters'][string]

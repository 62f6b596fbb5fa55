import { z } from '../forms/zod.ts'
import { secretReference } from '../secrets/registry.ts'
import { sinkSettings } from './registry.ts'

const spill = z
  .strictObject({
    path: z.string().min(1).meta({
      description:
        'directory for what waits; one for each sidecar. Made, and closed to other users, when it is not there',
    }),
    maxBytes: z
      .int()
      .min(64 * 1024)
      .max(1024 ** 4)
      .default(256 * 1024 * 1024)
      .meta({ description: 'bytes that may wait for each sink; then it is full' }),
  })
  .optional()
  .meta({
    description:
      'keeps on the disk what a sink of kind `store` or `otlp` has not taken yet, and brings it there later, also after a restart; without it, 16 MiB wait in memory',
  })

const checkpoints = z
  .strictObject({
    key: secretReference.meta({
      description: 'Ed25519 private key in PEM, as `openssl genpkey -algorithm ed25519` makes it',
    }),
    everyMs: z
      .int()
      .min(100)
      .max(86_400_000)
      .default(60_000)
      .meta({ description: 'ms from one checkpoint to the next; there is one more at the start, and one at the end' }),
  })
  .optional()
  .meta({ description: 'signs what has been written so far, so that nobody else can write it anew' })

/** What a settings file may say about the audit. */
export const auditSettings = z
  .strictObject({
    sinks: z
      .array(sinkSettings)
      .min(1)
      .default([{ kind: 'json-lines' }])
      .meta({ description: 'where entries go; each sink gets all of them' }),
    instance: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._:@/-]{0,127}$/, 'use a name of letters, digits and ".", "_", ":", "@", "/", "-"')
      .optional()
      .meta({ description: 'the name of this sidecar in the audit, the same over restarts; without it the host name' }),
    whenFull: z.enum(['refuse', 'drop']).default('refuse').meta({
      description:
        'when a sink can take no more: `refuse` answers 503 `audit-full` until it can, so that nothing happens unrecorded; `drop` goes on, counts what is lost, and records that it is',
    }),
    spill,
    checkpoints,
    fingerprintKey: secretReference.optional().meta({
      description: 'keys the fingerprints of credentials, so that they stay the same over restarts; random without it',
    }),
  })
  .prefault({})
  .meta({ description: 'what happened: one entry for each request' })

export type AuditSettings = z.infer<typeof auditSettings>

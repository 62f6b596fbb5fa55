import { z } from '../forms/zod.ts'
import { secretReference } from '../secrets/registry.ts'

/** What the settings of every kind of store say. */
export const commonSettings = {
  key: secretReference.optional().meta({
    description:
      'seals the secrets in the store: 32 random bytes as base64 or hex, as `openssl rand -base64 32` prints them; without it no secret can be put there',
  }),
  previousKeys: z.array(secretReference).max(8).default([]).meta({
    description: 'keys that secrets may still be sealed under; at start they are sealed anew under `key`',
  }),
  staleMs: z.int().min(1_000).max(86_400_000).default(300_000).meta({
    description: 'ms that known grants keep serving while the store is lost; then 503 `store-lost`',
  }),
  pollMs: z.int().min(50).max(60_000).default(500).meta({
    description: 'ms between two looks for what others have changed',
  }),
}

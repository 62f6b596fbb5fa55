import { randomBytes } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Two secrets of one run. Hex, so that a double click selects one whole. */
export interface RunSecrets {
  /** Long-lived: for the authorization server and the sidecar's file alone. */
  readonly clientSecret: string
  /** What the app shows. Worthless to anybody but this sidecar. */
  readonly callerKey: string
}

/** New random secrets. */
export function makeSecrets(): RunSecrets {
  return { clientSecret: randomBytes(32).toString('hex'), callerKey: randomBytes(16).toString('hex') }
}

/** Writes what `config/playground.yaml` refers to, for this user alone. What an earlier run left behind goes. */
export async function writeScratch(directory: string, { clientSecret, callerKey }: RunSecrets, caPem: string) {
  await removeScratch(directory)
  await mkdir(directory, { mode: 0o700 })
  const files = { 'client-secret': `${clientSecret}\n`, 'caller-key': `${callerKey}\n`, 'ca.pem': caPem }
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text, { mode: 0o600 })
}

/** Removes it all. Idempotent. */
export async function removeScratch(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true })
}

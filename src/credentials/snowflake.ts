import { createPublicKey, hash } from 'node:crypto'
import type { Secret } from '../core/secret.ts'
import { z } from '../forms/zod.ts'

const identifier = z.string().regex(/^[A-Za-z0-9_.$-]+$/, 'use letters, digits, "_", ".", "-" and "$"')

/** Whose JWT it is, where it is for Snowflake. */
export const snowflakeSettings = z.strictObject({
  account: identifier.meta({
    description: 'the account identifier, as in the URL: `myorg-account1`, `xy12345.eu-west-1`',
  }),
  user: identifier.meta({ description: 'the login name that the public key is registered for' }),
})

/**
 * The claims of key-pair authentication: the issuer is account, user and fingerprint of the public key. Region and cloud are
 * no part of the account there, and all is in capitals.
 * @throws Error that holds nothing of the key
 * @see https://docs.snowflake.com/en/developer-guide/sql-api/authenticating
 */
export function snowflakeClaims(
  { account, user }: z.infer<typeof snowflakeSettings>,
  key: Secret,
): Record<string, string> {
  const subject = `${accountOf(account)}.${user}`.toUpperCase()
  return { iss: `${subject}.SHA256:${fingerprintOf(key)}`, sub: subject }
}

/** A global account has its external id behind the name, the others a region or nothing. */
function accountOf(account: string): string {
  const [name = ''] = account.split('.')
  return /\.global$/i.test(account) ? name.replace(/-[^-]*$/, '') : name
}

function fingerprintOf(key: Secret): string {
  const spki = createPublicKey(key.privateKey()).export({ type: 'spki', format: 'der' })
  return hash('sha256', spki, 'base64')
}

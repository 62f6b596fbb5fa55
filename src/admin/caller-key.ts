import { randomBytes } from 'node:crypto'
import { sha256 } from '../core/secret.ts'

/**
 * A key that Sallyport makes: 256 bits, and a prefix by which scanners of leaked secrets can know it. It is in the answer
 * to whoever asked for it, once; what is kept is the digest, and 256 bits need no slow one.
 */
export function makeKey(): { readonly key: string; readonly digest: string } {
  const key = `sp_${randomBytes(32).toString('base64url')}`
  return { key, digest: sha256(key).toString('hex') }
}

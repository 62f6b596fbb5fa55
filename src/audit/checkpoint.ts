import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import type { AuditHead } from '../core/audit-line.ts'
import type { HeldSecret, Secret } from '../core/secret.ts'
import type { Checkpoint } from './record.ts'

/** Signs what a run has written so far. */
export interface Signer {
  /** Thumbprint of the public key that goes with the key in use now. */
  thumbprint(): string
  sign(instance: string, head: AuditHead): Pick<Checkpoint, 'covers' | 'key' | 'signature'>
}

/**
 * Signs with an Ed25519 key in PEM; one that is rotated is used from the next checkpoint on.
 * @throws Error in words, also later, when the key has become something else
 */
export function createSigner(held: HeldSecret): Signer {
  let known = { version: held.current().version, ...open(held.current().secret) }
  function current() {
    const { secret, version } = held.current()
    if (version !== known.version) known = { version, ...open(secret) }
    return known
  }
  return {
    thumbprint: () => current().thumbprint,
    sign(instance, head) {
      const { key, thumbprint } = current()
      const signature = sign(null, signedText(instance, head), key).toString('base64url')
      return { covers: { seq: head.seq, hash: head.hash }, key: thumbprint, signature }
    },
  }
}

function open(secret: Secret): { readonly key: KeyObject; readonly thumbprint: string } {
  const key = readKey(secret)
  if (key?.asymmetricKeyType !== 'ed25519')
    throw new Error(
      'audit.checkpoints.key is no Ed25519 private key in PEM: "openssl genpkey -algorithm ed25519" makes one',
    )
  return { key, thumbprint: thumbprintOf(createPublicKey(key)) }
}

function readKey(secret: Secret): KeyObject | undefined {
  try {
    return createPrivateKey(secret.reveal())
  } catch {
    // OpenSSL's message could quote what it read.
    return undefined
  }
}

/** What a checkpoint signs: four lines of UTF-8, and what they are for. No field has a line feed in it. */
function signedText(instance: string, { run, seq, hash }: AuditHead): Buffer {
  return Buffer.from(`sallyport audit checkpoint\n${instance}\n${run}\n${seq}\n${hash}`)
}

/** Names a public key: SHA-256 of its JWK in the one spelling, base64url. @see RFC 7638 section 3, RFC 8037 appendix A.3 */
export function thumbprintOf(key: KeyObject): string {
  const { crv, kty, x } = key.export({ format: 'jwk' })
  return createHash('sha256').update(JSON.stringify({ crv, kty, x })).digest('base64url')
}

/** Whether this key made that signature over (instance, run, seq, hash). Anything that cannot be read is a no. */
export function isSignedBy(key: KeyObject, instance: string, head: AuditHead, signature: string): boolean {
  try {
    return verify(null, signedText(instance, head), key, Buffer.from(signature, 'base64url'))
  } catch {
    return false
  }
}

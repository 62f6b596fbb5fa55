import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, type KeyObject, randomBytes } from 'node:crypto'
import { Secret } from '../core/secret.ts'

/** What secrets are sealed under. */
export interface SealKey {
  /** Tells keys apart, and nothing about them: 12 hex digits. */
  readonly id: string
  readonly key: KeyObject
}

/** Which secret it is: a sealed one does not open in the place of another. */
export interface SealedPlace {
  readonly name: string
  readonly version: number
}

const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16

/**
 * Reads a key: 32 bytes, in base64 or hex. A passphrase is refused, however long: whoever has the database could try all
 * that are likely.
 * @throws Error in words, which repeat nothing of it
 */
export function sealKeyOf(secret: Secret): SealKey {
  const bytes = bytesOf(secret.reveal().trim())
  if (!bytes)
    throw new Error('the key of the store is not 32 bytes in base64 or hex: `openssl rand -base64 32` makes one')
  const derive = (purpose: string, length: number) => Buffer.from(hkdfSync('sha256', bytes, '', purpose, length))
  const id = derive('sallyport store: id of the key', 6).toString('hex')
  return { id, key: createSecretKey(derive('sallyport store: seal', KEY_BYTES)) }
}

function bytesOf(text: string): Buffer | undefined {
  if (/^[0-9a-fA-F]{64}$/.test(text)) return Buffer.from(text, 'hex')
  // Node takes either alphabet for base64, and passes over what is in none.
  if (!/^[\w+/-]{43}=?$/.test(text)) return undefined
  const bytes = Buffer.from(text, 'base64')
  return bytes.length === KEY_BYTES ? bytes : undefined
}

/** AES-256-GCM: nonce, ciphertext and tag, as base64. The nonce is random: a key is good for 2^32 of them. */
export function seal(secret: Secret, place: SealedPlace, { id, key }: SealKey): string {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES }).setAAD(boundTo(place, id))
  const sealed = Buffer.concat([cipher.update(secret.reveal(), 'utf8'), cipher.final()])
  return Buffer.concat([nonce, sealed, cipher.getAuthTag()]).toString('base64')
}

/** Undefined when it was sealed under another key, for another place, or was changed since. */
export function unseal(sealed: string, place: SealedPlace, { id, key }: SealKey): Secret | undefined {
  const bytes = Buffer.from(sealed, 'base64')
  if (bytes.length < NONCE_BYTES + TAG_BYTES) return undefined
  const nonce = bytes.subarray(0, NONCE_BYTES)
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES }).setAAD(boundTo(place, id))
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
  try {
    const opened = Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()])
    return new Secret(opened.toString('utf8'))
  } catch {
    return undefined
  }
}

/** JSON, because no name can then run into what comes after it. */
function boundTo({ name, version }: SealedPlace, keyId: string): Buffer {
  return Buffer.from(JSON.stringify(['sallyport secret', name, version, keyId]))
}

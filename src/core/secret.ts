import { createHmac, createPrivateKey, hash, type KeyObject, timingSafeEqual } from 'node:crypto'

const MASK = '[secret]'

/**
 * Text that must never be printed: String(), JSON and inspect all show "[secret]".
 * `reveal` is called where a secret is spent, in injections/, credentials/, store/, audit/ and, for tokens that are judged, in
 * callers/ alone; a test checks that.
 */
export class Secret {
  readonly #text: string
  #digest: Buffer | undefined

  constructor(text: string) {
    this.#text = text
  }

  reveal(): string {
    return this.#text
  }

  /** SHA-256 of the UTF-8 text: 32 bytes, fit for comparing and indexing keys of high entropy. */
  digest(): Buffer {
    this.#digest ??= sha256(this.#text)
    return this.#digest
  }

  /** Compares in constant time, whatever the two lengths are. */
  equals(other: Secret): boolean {
    return timingSafeEqual(this.digest(), other.digest())
  }

  /** A name for this value that tells nothing about it: the first 16 hex digits of HMAC-SHA-256 under `key`. */
  fingerprint(key: Buffer): string {
    return createHmac('sha256', key).update(this.#text).digest('hex').slice(0, 16)
  }

  /**
   * The private key that this text is, in PEM and unencrypted, or as a JWK; no less opaque than the text.
   * @throws Error that holds nothing of the text
   */
  privateKey(): KeyObject {
    try {
      const isJwk = this.#text.trimStart().startsWith('{')
      return createPrivateKey(isJwk ? { key: JSON.parse(this.#text), format: 'jwk' } : this.#text)
    } catch {
      throw new Error('no private key in PEM that can be read without a passphrase')
    }
  }

  toString(): string {
    return MASK
  }

  toJSON(): string {
    return MASK
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return MASK
  }
}

/** SHA-256 of a text's UTF-8 bytes. */
export function sha256(text: string): Buffer {
  return hash('sha256', text, 'buffer')
}

/**
 * A long-lived secret as it stands now. Whoever holds one asks for `current()` at each use: a file may have been
 * rewritten since. `version` grows with each change and names no part of the value.
 */
export interface HeldSecret {
  current(): { readonly secret: Secret; readonly version: number }
}

/** Which long-lived secret is behind a credential: it is the credential, or the credential was minted with it. */
export interface LongLived {
  /** The name in the store; or `file:PATH`, `env:NAME`, as the settings say it. */
  readonly name: string
  readonly secret: Secret
  /** As the store counts. Absent where versions are counted anew at each start: then the value itself tells them apart. */
  readonly storedVersion: number | undefined
}

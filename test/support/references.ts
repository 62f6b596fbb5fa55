import { type HeldSecret, Secret } from '../../src/core/secret.ts'
import type { References as Opened } from '../../src/secrets/reference.ts'

/** References that all mean one secret, which a test can change. */
export class References implements Opened {
  #secret: Secret
  #version = 1

  constructor(text: string) {
    this.#secret = new Secret(text)
  }

  change(text: string): void {
    this.#secret = new Secret(text)
    this.#version++
  }

  secret(): HeldSecret {
    return { current: () => ({ secret: this.#secret, version: this.#version }) }
  }

  file(): string {
    throw new Error('no file in this test')
  }
}

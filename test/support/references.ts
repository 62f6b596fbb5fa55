import { type HeldSecret, Secret } from '../../src/core/secret.ts'
import type { References as Opened } from '../../src/secrets/reference.ts'

/** References that all mean one secret, and one file, which a test can change. */
export class References implements Opened {
  #secret: Secret
  #version = 1
  #file: string | undefined

  constructor(text: string, file?: string) {
    this.#secret = new Secret(text)
    this.#file = file
  }

  change(text: string): void {
    this.#secret = new Secret(text)
    this.#version++
  }

  changeFile(text: string): void {
    this.#file = text
  }

  secret(): HeldSecret {
    return { current: () => ({ secret: this.#secret, version: this.#version }) }
  }

  file(): string {
    if (this.#file === undefined) throw new Error('no file in this test')
    return this.#file
  }
}

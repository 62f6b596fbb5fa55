import { hash } from 'node:crypto'
import type { AuditHead, AuditKeys, AuditLine } from '../core/audit-line.ts'
import { keysOf } from './keys.ts'
import type { AuditRecord } from './record.ts'

/** What comes before the first line of an instance. */
export const NO_HASH = '0'.repeat(64)

interface Beginning {
  readonly instance: string
  readonly run: string
  /** The last line of this instance that is known: the chain goes on from it. */
  readonly after: AuditHead | undefined
}

/**
 * Makes the lines of one run: what was recorded, then `instance`, `run`, `seq`, `prev` and `hash`. `prev` is the hash of the
 * line before, of the run before at the start of one. `hash` is the SHA-256, in lower-case hex, of the UTF-8 bytes of the
 * line as it would be without its last field: cut out `,"hash":"..."` and leave the closing brace. With other tools:
 *
 *     sed -E 's/,"hash":"[0-9a-f]{64}"\}$/}/' | tr -d '\n' | sha256sum
 */
export class Chain {
  readonly #instance: string
  readonly #run: string
  readonly #whose: string
  #seq = 0
  #hash: string

  constructor({ instance, run, after }: Beginning) {
    this.#instance = instance
    this.#run = run
    this.#hash = after?.hash ?? NO_HASH
    this.#whose = `,"instance":${JSON.stringify(instance)},"run":${JSON.stringify(run)},"seq":`
  }

  /** The last line so far; `seq` 0 before the first. */
  get head(): AuditHead {
    return { run: this.#run, seq: this.#seq, hash: this.#hash }
  }

  /** The next line; what cannot be JSON throws, and leaves the chain as it was. Strings are put together, and nothing is turned into JSON twice: this is on the way of each ask. */
  link(record: AuditRecord): AuditLine {
    const body = JSON.stringify(record.body).slice(1, -1)
    const seq = ++this.#seq
    const text = `{"msg":"${record.kind}",${body}${this.#whose}${seq},"prev":"${this.#hash}"`
    this.#hash = hash('sha256', `${text}}`, 'hex')
    const line = `${text},"hash":"${this.#hash}"}`
    return new Linked({ line, instance: this.#instance, run: this.#run, seq, hash: this.#hash }, record)
  }
}

/** Only a sink that keeps rows asks for the keys. */
class Linked implements AuditLine {
  readonly line: string
  readonly instance: string
  readonly run: string
  readonly seq: number
  readonly hash: string
  readonly #record: AuditRecord

  constructor({ line, instance, run, seq, hash }: Omit<AuditLine, 'keys'>, record: AuditRecord) {
    this.line = line
    this.instance = instance
    this.run = run
    this.seq = seq
    this.hash = hash
    this.#record = record
  }

  get keys(): AuditKeys {
    return keysOf(this.#record)
  }
}

import { Problem } from '../core/problem.ts'
import { valuesOf } from '../wire/fields.ts'
import type { Answer } from './answer.ts'
import { Scrubber } from './scrubber.ts'

/**
 * An answer in which nothing of what is looked for reaches the caller: not in a field, in the body or in a trailer. An
 * upstream that packs its answer, unasked, is refused: nobody could look into it.
 */
export class ScrubbedAnswer implements Answer {
  readonly #answer: Answer
  readonly #method: string
  readonly #scrubber: Scrubber

  /** `method`: of the request; the answer to HEAD has no body, whatever its fields say. */
  constructor(answer: Answer, { method, forms }: { readonly method: string; readonly forms: readonly Buffer[] }) {
    this.#answer = answer
    this.#method = method
    this.#scrubber = new Scrubber(forms)
  }

  get hasStarted(): boolean {
    return this.#answer.hasStarted
  }

  hint(fields: readonly string[]): void {
    this.#answer.hint(this.#scrubbed(fields))
  }

  /** @throws Problem `upstream-malformed` */
  start(status: number, statusText: string, fields: readonly string[]): void {
    const hasBody = this.#method !== 'HEAD' && status !== 204 && status !== 304
    if (hasBody && CODINGS.some((name) => valuesOf(fields, name).some(isPacked)))
      throw new Problem('upstream-malformed', { reason: 'the upstream packed an answer that was to be looked through' })
    this.#answer.start(status, this.#scrubber.text(statusText), this.#scrubbed(fields))
  }

  write(chunk: Buffer): boolean {
    const ready = this.#scrubber.push(chunk)
    return ready.length === 0 || this.#answer.write(ready)
  }

  end(trailers?: readonly string[]): void {
    const rest = this.#scrubber.flush()
    if (rest.length > 0) this.#answer.write(rest)
    this.#answer.end(trailers && this.#scrubbed(trailers))
  }

  break(): void {
    this.#answer.break()
  }

  onDrain(listener: () => void): void {
    this.#answer.onDrain(listener)
  }

  onGone(listener: () => void): void {
    this.#answer.onGone(listener)
  }

  /** All but what frames the message: digits, and nothing of anybody's. */
  #scrubbed(fields: readonly string[]): string[] {
    return fields.map((part, at) =>
      at % 2 === 1 && fields[at - 1]?.toLowerCase() === 'content-length' ? part : this.#scrubber.text(part),
    )
  }
}

const CODINGS = ['content-encoding', 'grpc-encoding']

function isPacked(coding: string): boolean {
  return coding.trim().toLowerCase() !== 'identity'
}

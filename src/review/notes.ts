/** Callers make up as many texts as they like, of thousands of characters each. */
const MAX_NOTES = 200
const MAX_NOTE = 300

/** Sentences for people: each once, as many and as long as they read. */
export class Notes {
  readonly #all = new Set<string>()

  add(text: string): void {
    if (this.#all.size > MAX_NOTES) return
    const note = text.length > MAX_NOTE ? `${text.slice(0, MAX_NOTE)}…` : text
    this.#all.add(this.#all.size < MAX_NOTES || this.#all.has(note) ? note : 'and more than is told here')
  }

  all(): readonly string[] {
    return [...this.#all]
  }
}

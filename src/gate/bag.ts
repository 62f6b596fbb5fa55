/** Where a thing is in a bag; kept by whoever put it there. */
export interface Place<T> {
  readonly thing: T
  /** -1 once it is taken out. */
  at: number
}

/**
 * Things that come and go all the time, in no order. Not a Set: V8 makes another table of one after as many deletions as
 * it has room, each old table refers to the next, and one that has grown old keeps them all, with everything that they
 * held, until the next full collection. That cost a third more processor time for each request [V8 of Node 26.10].
 */
export class Bag<T> {
  readonly #places: Place<T>[] = []

  get size(): number {
    return this.#places.length
  }

  add(thing: T): Place<T> {
    const place = { thing, at: this.#places.length }
    this.#places.push(place)
    return place
  }

  /** Idempotent. The last one takes its place. */
  remove(place: Place<T>): void {
    if (place.at === -1) return
    const last = this.#places.pop()
    if (last && last !== place) {
      last.at = place.at
      this.#places[place.at] = last
    }
    place.at = -1
  }

  /** All of them, as they are now. */
  things(): T[] {
    return this.#places.map(({ thing }) => thing)
  }
}

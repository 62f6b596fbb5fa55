/**
 * Time as a parameter. `now`: ms since the epoch, may jump. `monotonic`: ms from an arbitrary start, never goes back,
 * but stands still while the machine sleeps: whoever judges an expiry asks both.
 */
export interface Clock {
  now(): number
  monotonic(): number
}

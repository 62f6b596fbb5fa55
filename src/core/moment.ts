/** One point in time on both clocks, ms: an expiry is judged by the one that comes first. */
export interface Moment {
  /** Ms since the epoch. */
  readonly wall: number
  readonly monotonic: number
}

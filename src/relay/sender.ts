import type { Dispatcher } from 'undici'

/** What carries requests to one host for one caller, over whichever protocol; the contract is undici's. */
export interface Sender {
  /** Connections that are open, and requests that wait for one; as undici's pools count them. */
  readonly stats: { readonly connected: number; readonly pending: number }
  /** Never throws for what goes wrong on the wire: the handler hears of that, once. */
  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): unknown
  /** Takes no more, and closes when what is in flight has finished. */
  close(): Promise<void>
  /** Cuts everything; idempotent. */
  destroy(): Promise<void>
}

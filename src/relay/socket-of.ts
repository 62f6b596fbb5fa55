import { subscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'

let starting: ((socket: Socket) => void) | undefined
let isSubscribed = false

/**
 * Tells the socket that carries a request. Call it from `onRequestStart`: undici names the socket on a diagnostics
 * channel alone, in the same turn, before it writes the head.
 */
export function onSocketOf(listener: (socket: Socket) => void): void {
  starting = listener
  if (isSubscribed) return
  isSubscribed = true
  subscribe('undici:client:sendHeaders', tell)
}

function tell(message: unknown): void {
  const listener = starting
  starting = undefined
  // The channel's message is documented as { request, headers, socket }.
  listener?.((message as { socket: Socket }).socket)
}

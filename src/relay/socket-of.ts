import { subscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'

type Listener = (socket: Socket, isReused: boolean) => void

let starting: Listener | undefined
let isSubscribed = false

/**
 * Tells the socket that carries a request, and whether it has carried one before. Call it from `onRequestStart`: undici names the socket on a diagnostics
 * channel alone, in the same turn, before it writes the head.
 */
export function onSocketOf(listener: Listener): void {
  starting = listener
  if (isSubscribed) return
  isSubscribed = true
  subscribe('undici:client:sendHeaders', tell)
}

/** The same from what is not undici; in the same turn as `onRequestStart`. */
export function announceSocket(socket: Socket, isReused: boolean): void {
  const listener = starting
  starting = undefined
  listener?.(socket, isReused)
}

function tell(message: unknown): void {
  // The channel's message is documented as { request, headers, socket }.
  const { socket } = message as { socket: Socket }
  announceSocket(socket, socket.bytesWritten > 0)
}

import { connect, type Socket } from 'node:net'

/** What came back on a raw connection. */
export interface RawAnswer {
  readonly text: string
  readonly status: number
  readonly closed: boolean
}

/** Opens a raw connection to a door: `host:port` or `unix:/path`. */
export function open(address: string): Socket {
  if (address.startsWith('unix:')) return connect(address.slice('unix:'.length))
  const at = address.lastIndexOf(':')
  return connect(Number(address.slice(at + 1)), address.slice(0, at))
}

interface Options {
  /** Waits until this has come, or the connection is closed. */
  readonly until?: RegExp
  readonly deadlineMs?: number
}

/** Sends bytes as they are, and reads until `until`, the end of the connection, or the deadline. */
export function sendRaw(
  address: string,
  bytes: string | Buffer,
  { until, deadlineMs = 15_000 }: Options = {},
): Promise<RawAnswer> {
  return new Promise((resolve) => {
    const socket = open(address)
    let text = ''
    const done = (closed: boolean) => {
      clearTimeout(timer)
      socket.destroy()
      resolve({ text, status: Number(/^HTTP\/1\.\d (\d{3})/.exec(text)?.[1] ?? 0), closed })
    }
    const timer = setTimeout(() => done(false), deadlineMs)
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      if (until?.test(text)) done(false)
    })
    socket.on('close', () => done(true))
    socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  })
}

/** A whole answer whose length is announced. */
export const WHOLE_ANSWER = /\r\n\r\n[\s\S]*\n$|\r\n\r\nok$/

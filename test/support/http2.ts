import { type ClientHttp2Session, connect, type OutgoingHttpHeaders, type Settings } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import { onTestFinished } from 'vitest'
import { openTunnel, secureTunnel } from './tunnel.ts'

interface Way {
  /** Of the forward door. */
  readonly door: string
  /** `host:port`, as CONNECT names it. */
  readonly target: string
  /** The caller's proof, a header line with its CR LF. */
  readonly proof: string
  readonly ca: string
}

/** TLS in an opened tunnel, with "h2" agreed and nothing said yet. */
export async function openH2({ door, target, proof, ca }: Way): Promise<TLSSocket> {
  const { socket, status } = await openTunnel(door, target, { fields: proof })
  if (status !== 200) throw new Error(`no tunnel: ${status}`)
  const host = target.slice(0, target.lastIndexOf(':'))
  const secured = await secureTunnel(socket, host, { ca, ALPNProtocols: ['h2'] })
  if (secured.alpnProtocol !== 'h2') throw new Error('no h2')
  onTestFinished(() => void secured.destroy())
  return secured
}

/** The same, as a session of node:http2. */
export async function openSession(way: Way, settings: Settings = {}): Promise<ClientHttp2Session> {
  const socket = await openH2(way)
  const session = connect(`https://${way.target}`, { createConnection: () => socket, settings })
  session.on('error', () => undefined)
  onTestFinished(() => session.destroy())
  return session
}

/** What came back on one stream. */
export interface StreamAnswer {
  readonly status: number
  readonly headers: Record<string, unknown>
  readonly trailers: Record<string, unknown>
  readonly body: string
  /** END_STREAM came. */
  readonly isWhole: boolean
  /** With which it was reset, 0 where it was not. */
  readonly rstCode: number
}

/** Asks on a session, and collects what comes until the stream is closed. `body`: undefined ends the stream at the head. */
export async function ask(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders | readonly string[],
  body?: string,
): Promise<StreamAnswer> {
  const stream = session.request(headers, { endStream: body === undefined })
  const got = { status: 0, headers: {}, trailers: {}, body: '', isWhole: false }
  stream.on('error', () => undefined)
  stream.on('response', (response) => Object.assign(got, { status: response[':status'] ?? 0, headers: response }))
  stream.on('trailers', (trailers) => Object.assign(got, { trailers }))
  stream
    .setEncoding('utf8')
    .on('data', (chunk: string) => (got.body += chunk))
    .on('end', () => (got.isWhole = true))
  if (body !== undefined) stream.end(body)
  await new Promise((resolve) => stream.once('close', resolve))
  return { ...got, rstCode: stream.rstCode }
}

/** Types of frames. @see RFC 9113 section 6 */
export const FRAMES = { data: 0, headers: 1, rstStream: 3, settings: 4, ping: 6, goAway: 7, continuation: 9 } as const
/** Flags of frames. */
export const FLAGS = { none: 0, endStream: 1, endHeaders: 4 } as const

/** What a client says first: the preface, and SETTINGS without anything in it. */
export const PREFACE = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame('settings', 0, 0)])

/** One frame as bytes. @see RFC 9113 section 4.1 */
export function frame(
  type: keyof typeof FRAMES,
  flags: number,
  stream: number,
  payload: Buffer = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(FRAMES[type], 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** Fields as HPACK literals without any table, byte for byte as given. @see RFC 7541 section 6.2.2 */
export function hpack(fields: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]))
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1')
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes])
  const rest: number[] = []
  let left = bytes.length - 127
  for (; left >= 128; left = Math.floor(left / 128)) rest.push((left % 128) + 128)
  return Buffer.concat([Buffer.from([127, ...rest, left]), bytes])
}

/** A frame that came back. */
export interface Frame {
  readonly type: number
  readonly stream: number
  readonly payload: Buffer
}

/** All frames in these bytes, an unfinished last one apart. */
export function framesIn(bytes: Buffer): Frame[] {
  const frames: Frame[] = []
  for (let at = 0; at + 9 <= bytes.length; ) {
    const length = bytes.readUIntBE(at, 3)
    if (at + 9 + length > bytes.length) break
    const payload = bytes.subarray(at + 9, at + 9 + length)
    frames.push({ type: bytes.readUInt8(at + 3), stream: bytes.readUInt32BE(at + 5), payload })
    at += 9 + length
  }
  return frames
}

import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Identity } from './certificates.ts'

/** How a request is answered: as said here, or not. */
export interface Quirk {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string | string[]>>
  /** Text as it is, or an object that becomes JSON. */
  readonly body?: string | Buffer | object
  /** Ms before the head. */
  readonly delayMs?: number
  /** Sends the body one byte at a time, with this many ms between. */
  readonly dripMs?: number
  /** `silence`: never answers. `reset`: breaks off at once, `reset-midway`: within the body. `1xx`: 103 for ever. */
  readonly instead?: 'silence' | 'reset' | 'reset-midway' | '1xx'
}

/** One request in its raw form. */
export interface RecordedRequest {
  readonly method: string
  readonly target: string
  /** Names and values in turn, as they came. */
  readonly rawHeaders: readonly string[]
  readonly body: string
}

/** An authorization server over HTTPS that answers just as it is told. */
export interface QuirkIssuer {
  readonly port: number
  /** Every request so far. */
  readonly requests: readonly RecordedRequest[]
  /** Resolves once so many requests have come in. Has no deadline of its own: the test's is meant. */
  received(count: number): Promise<void>
  /** The answer to every request from now on; a function picks one by the request. */
  answer(quirk: Quirk | ((request: RecordedRequest) => Quirk)): void
  stop(): Promise<void>
}

/** A token answer as RFC 6749 section 5.1 has it, changed as said; a member that is undefined is left out. */
export function tokenAnswer(changes: Readonly<Record<string, unknown>> = {}): Quirk {
  const body = { access_token: 'at-1', token_type: 'Bearer', expires_in: 3600, ...changes }
  return { headers: { 'content-type': 'application/json', 'cache-control': 'no-store' }, body }
}

/** Starts it on 127.0.0.1, on a free port. */
export async function startQuirkIssuer(identity: Identity): Promise<QuirkIssuer> {
  const requests: RecordedRequest[] = []
  const waiting: { count: number; resolve: () => void }[] = []
  let choose: (request: RecordedRequest) => Quirk = () => tokenAnswer()
  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const recorded = await record(request)
    requests.push(recorded)
    for (const { count, resolve } of waiting) if (requests.length >= count) resolve()
    await play(choose(recorded), response)
  }
  const server = createServer({ ...identity, maxHeaderSize: 65_536 }, (request, response) => {
    serve(request, response).catch(() => response.destroy())
  })
  server.on('tlsClientError', () => undefined)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port, // a TCP server has an address of this form
    requests,
    received: (count) =>
      requests.length >= count ? Promise.resolve() : new Promise((resolve) => waiting.push({ count, resolve })),
    answer: (quirk) => {
      choose = typeof quirk === 'function' ? quirk : () => quirk
    },
    async stop() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function record(request: IncomingMessage): Promise<RecordedRequest> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const { method = '', url = '', rawHeaders } = request
  return { method, target: url, rawHeaders, body: Buffer.concat(chunks).toString() }
}

async function play(quirk: Quirk, response: ServerResponse): Promise<void> {
  if (quirk.instead === 'silence') return
  if (quirk.instead === 'reset') return breakOff(response)
  if (quirk.instead === '1xx') return hintForEver(response)
  if (quirk.delayMs !== undefined) await delay(quirk.delayMs)
  response.writeHead(quirk.status ?? 200, quirk.headers)
  const { body = '' } = quirk
  const bytes =
    typeof body === 'string' || Buffer.isBuffer(body) ? Buffer.from(body) : Buffer.from(JSON.stringify(body))
  if (quirk.instead === 'reset-midway') {
    response.write(bytes.subarray(0, bytes.length / 2), () => breakOff(response))
    return
  }
  if (quirk.dripMs !== undefined) await drip(bytes, quirk.dripMs, response)
  response.end(quirk.dripMs === undefined ? bytes : undefined)
}

function breakOff(response: ServerResponse): void {
  response.socket?.destroy()
}

async function hintForEver(response: ServerResponse): Promise<void> {
  while (!response.destroyed) {
    response.writeEarlyHints({ link: '</a>; rel=preload' })
    await delay(5)
  }
}

async function drip(bytes: Buffer, ms: number, response: ServerResponse): Promise<void> {
  for (const byte of bytes) {
    if (response.destroyed) return
    response.write(Buffer.of(byte))
    await delay(ms)
  }
}

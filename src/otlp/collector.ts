import type { BlockList } from 'node:net'
import type { SecureContext } from 'node:tls'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { Dispatcher } from 'undici'
import { Problem } from '../core/problem.ts'
import type { HeldSecret } from '../core/secret.ts'
import type { Dialer } from '../wire/dial.ts'
import { Client } from '../wire/undici.ts'

/** What became of a batch. `rejected`: so many were not taken, and will not be if they are sent again. */
export interface Sent {
  readonly rejected: number
  readonly reason?: string | undefined
}

/** A batch was not taken, and may be later. */
export class SendError extends Error {
  override readonly name = 'SendError'
  /** Not before that; ms from now. */
  readonly retryAfterMs: number | undefined

  constructor(message: string, retryAfterMs?: number, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.retryAfterMs = retryAfterMs
  }
}

/** Where a collector is, and on what terms it is asked. */
export interface CollectorTerms {
  /** What is sent to it. */
  readonly signal: keyof typeof REJECTED
  readonly endpoint: URL
  readonly headers: Readonly<Record<string, HeldSecret>>
  readonly compression: 'gzip' | 'none'
  /** For one batch, answer included. */
  readonly timeoutMs: number
  readonly dialer: Dialer
  readonly trust: SecureContext
  readonly allowPrivate: BlockList
}

const MAX_ANSWER_BYTES = 65_536
/** Any other answer but 200 is final. @see https://opentelemetry.io/docs/specs/otlp/#retryable-response-codes */
const RETRYABLE: ReadonlySet<number> = new Set([429, 502, 503, 504])
const zip = promisify(gzip)

/** The member of an answer that counts what was refused of a batch, by signal. */
const REJECTED = { logs: 'rejectedLogRecords', traces: 'rejectedSpans' } as const

/** A collector that takes OTLP over HTTP in JSON, on one connection that is kept. */
export class Collector {
  readonly #options: CollectorTerms
  readonly #client: Client

  constructor(options: CollectorTerms) {
    this.#options = options
    const { endpoint, dialer, trust, allowPrivate, timeoutMs } = options
    const isPlaintext = endpoint.protocol === 'http:'
    this.#client = new Client(endpoint.origin, {
      connect: dialer.connector({
        host: endpoint.hostname,
        port: Number(endpoint.port) || (isPlaintext ? 80 : 443),
        tls: isPlaintext ? 'plaintext' : trust,
        allowPrivate,
        timeoutMs,
      }),
      allowH2: false,
      maxResponseSize: MAX_ANSWER_BYTES,
    })
  }

  /**
   * Sends one request, once. What the collector refuses for good is counted and not sent again, as the protocol has it;
   * a batch that is too large for it is `rejected` as a whole.
   * @throws SendError when it may be sent again
   */
  async send(json: string, count: number): Promise<Sent> {
    const { statusCode: status, headers, body } = await this.#request(json).catch(rethrow)
    const text = await body.text().catch(rethrow)
    const { endpoint, signal } = this.#options
    if (status === 200) return partialSuccess(text, REJECTED[signal])
    const { host } = endpoint
    if (RETRYABLE.has(status)) throw new SendError(`${host} answered ${status}`, retryAfter(headers['retry-after']))
    return { rejected: count, reason: `${host} answered ${status}` }
  }

  async #request(json: string): Promise<Dispatcher.ResponseData> {
    const { endpoint, headers, compression, timeoutMs } = this.#options
    const isZipped = compression === 'gzip'
    const secrets = Object.entries(headers).map(([name, held]) => [name, held.current().secret.reveal()])
    return this.#client.request({
      path: endpoint.pathname,
      method: 'POST',
      headers: {
        ...Object.fromEntries(secrets),
        'content-type': 'application/json',
        ...(isZipped && { 'content-encoding': 'gzip' }),
      },
      body: isZipped ? await zip(json) : json,
      signal: AbortSignal.timeout(timeoutMs),
    })
  }

  async close(): Promise<void> {
    await this.#client.destroy()
  }
}

/** Messages of undici may quote what it sent; its codes do not. */
function rethrow(error: unknown): never {
  if (error instanceof Problem)
    throw new SendError(`the collector cannot be reached: ${error.reason}`, undefined, error)
  const { code, name } = error as { code?: string; name?: string } // undici throws errors, and node's have a code
  throw new SendError(`the exchange with the collector broke off (${code ?? name ?? 'unknown'})`)
}

/** @see https://opentelemetry.io/docs/specs/otlp/#partial-success-1 */
function partialSuccess(text: string, member: string): Sent {
  const { partialSuccess: partial } = parse(text)
  const told = { ...(typeof partial === 'object' ? partial : {}) } as Record<string, unknown>
  const rejected = Number(told[member] ?? 0)
  const { errorMessage } = told
  const reason = typeof errorMessage === 'string' ? errorMessage.slice(0, 200).replace(/[^ -~]/g, '?') : undefined
  return { rejected: Number.isSafeInteger(rejected) && rejected > 0 ? rejected : 0, reason }
}

function parse(text: string): { readonly partialSuccess?: unknown } {
  try {
    return { ...JSON.parse(text) }
  } catch {
    // 200 is what counts; many collectors answer with nothing.
    return {}
  }
}

/** No collector silences us for longer; and beyond 24 days a timer would not wait at all. */
const LONGEST_PAUSE_MS = 3_600_000

/** Seconds, or a date. @see RFC 9110 section 10.2.3 */
function retryAfter(value: string | string[] | undefined): number | undefined {
  if (typeof value !== 'string') return undefined
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now()
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(0, ms), LONGEST_PAUSE_MS)
}

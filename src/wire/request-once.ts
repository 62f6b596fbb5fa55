import type { BlockList } from 'node:net'
import type { SecureContext } from 'node:tls'
import type { Dispatcher } from 'undici'
import { Problem, type ProblemCode } from '../core/problem.ts'
import type { Dialer } from './dial.ts'
import { Turns } from './turns.ts'
import { Client } from './undici.ts'

const MAX_BODY_BYTES = 65_536
const MAX_HEAD_BYTES = 16_384
/**
 * Exchanges with one origin at a time, whoever they are for: when ten thousand callers come back at once, each with a token
 * of its own to be had, the issuer sees these many, and the others wait for as long as their questions may take.
 */
const AT_ONCE = 16
const turns = new Turns(AT_ONCE)
const NEEDS_PERSON: ReadonlySet<ProblemCode> = new Set(['address-not-allowed', 'loop-detected', 'upstream-untrusted'])

/** How a server that we ask for ourselves is reached. */
export interface Route {
  readonly dialer: Dialer
  readonly trust: SecureContext
  readonly allowPrivate: BlockList
  /** For the dial; the exchange as a whole ends with the signal of its question. */
  readonly timeoutMs: number
}

export interface Question {
  readonly url: URL
  readonly method: 'GET' | 'POST' | 'PUT'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | undefined
  readonly signal: AbortSignal
  /** Of the answer; 64 KiB without it. */
  readonly maxBytes?: number
}

/** An answer as it came. The body is somebody else's text: it may hold a token, and is printed nowhere. */
export interface Reply {
  readonly status: number
  readonly retryAfter: string | undefined
  /** The nonce for the next proof of possession. @see RFC 9449 section 8 */
  readonly dpopNonce?: string | undefined
  /** How many requests are left, and the second since the epoch from which there are more; no standard, and many say it so. */
  readonly rateLimit?: { readonly remaining: string | undefined; readonly reset: string | undefined }
  /** Every `WWW-Authenticate`. */
  readonly challenges?: readonly string[]
  /** The clock of who answered; ms since the epoch. */
  readonly date?: number | undefined
  readonly body: string
}

/** Why there is no answer. `isLasting`: it stays that way until somebody mends something. */
export class NoReply extends Error {
  override readonly name = 'NoReply'
  readonly isLasting: boolean

  constructor(reason: string, { isLasting = false, cause }: { isLasting?: boolean; cause?: unknown } = {}) {
    super(reason, cause === undefined ? undefined : { cause })
    this.isLasting = isLasting
  }
}

/**
 * One request, on a connection of its own: redirects are not followed, no proxy variable is heeded, and an answer is
 * bounded and not compressed.
 * @throws NoReply
 */
export async function requestOnce(route: Route, question: Question): Promise<Reply> {
  const { url, signal } = question
  const done = await turns.take(url.origin, signal).catch((): never => {
    throw new NoReply(`${AT_ONCE} exchanges with ${url.host} took all the time there was`)
  })
  const client = clientFor(route, question)
  try {
    return await readReply(await client.request(requestOf(question)))
  } catch (error) {
    throw noReply(error, url.host)
  } finally {
    done()
    void client.destroy()
  }
}

function clientFor({ dialer, trust, allowPrivate, timeoutMs }: Route, { url, maxBytes }: Question): Client {
  const isPlaintext = url.protocol === 'http:'
  const port = Number(url.port) || (isPlaintext ? 80 : 443)
  return new Client(url.origin, {
    connect: dialer.connector({
      host: url.hostname,
      port,
      tls: isPlaintext ? 'plaintext' : trust,
      allowPrivate,
      timeoutMs,
    }),
    allowH2: false,
    maxResponseSize: maxBytes ?? MAX_BODY_BYTES,
    maxHeaderSize: MAX_HEAD_BYTES,
  })
}

function requestOf({ url, method, headers, body, signal }: Question): Dispatcher.RequestOptions {
  const path = `${url.pathname}${url.search}`
  return {
    path,
    method,
    headers: { ...headers, 'accept-encoding': 'identity' },
    body: body ?? null,
    signal,
    reset: true,
  }
}

async function readReply({ statusCode, headers, body }: Dispatcher.ResponseData): Promise<Reply> {
  const coding = headers['content-encoding'] ?? 'identity'
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(await body.arrayBuffer())
  return {
    status: statusCode,
    retryAfter: onlyOne(headers['retry-after']),
    dpopNonce: onlyOne(headers['dpop-nonce']),
    rateLimit: {
      remaining: onlyOne(headers['x-ratelimit-remaining']),
      reset: onlyOne(headers['x-ratelimit-reset']),
    },
    challenges: [headers['www-authenticate'] ?? []].flat(),
    date: timeOf(onlyOne(headers.date)),
    // It was asked for as it is. Not unpacking it is the bound on what a small body can unpack to.
    body: coding === 'identity' ? text : '',
  }
}

function onlyOne(values: string | readonly string[] | undefined): string | undefined {
  return typeof values === 'string' ? values : undefined
}

function timeOf(date = ''): number | undefined {
  const at = Date.parse(date)
  return Number.isNaN(at) ? undefined : at
}

/** The error itself is not kept as the cause: undici's parser error carries the raw answer, and so may carry a token. */
function noReply(error: unknown, host: string): NoReply {
  // A forbidden address or an untrusted certificate needs a person, who may mend it without our settings changing.
  if (error instanceof Problem)
    return new NoReply(`${host}: ${error.reason}`, { isLasting: NEEDS_PERSON.has(error.code), cause: error })
  const { code = 'no code', name = '', message = '' } = error as { code?: string; name?: string; message?: string } // undici throws errors, and node's have a code
  if (name === 'TimeoutError') return new NoReply(`${host} did not answer in time`)
  // undici 8 gives its parser's errors a name and no code; one about EOF is an answer that was cut off.
  const isNotHttp = (name === 'HTTPParserError' && !message.includes('EOF')) || code.startsWith('HPE_')
  if (isNotHttp || code === 'UND_ERR_HEADERS_OVERFLOW' || code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE')
    return new NoReply(`the answer of ${host} is too large or not HTTP (${code})`, { isLasting: true })
  return new NoReply(`the exchange with ${host} broke off (${code})`)
}

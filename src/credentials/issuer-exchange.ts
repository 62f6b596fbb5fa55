import type { BlockList } from 'node:net'
import type { SecureContext } from 'node:tls'
import { Client, type Dispatcher } from 'undici'
import { Problem, type ProblemCode } from '../core/problem.ts'
import type { Dialer } from '../wire/dial.ts'

const MAX_BODY_BYTES = 65_536
const MAX_HEAD_BYTES = 16_384
const NEEDS_PERSON: ReadonlySet<ProblemCode> = new Set(['address-not-allowed', 'loop-detected', 'upstream-untrusted'])

/** How an authorization server is reached. */
export interface IssuerRoute {
  readonly dialer: Dialer
  readonly trust: SecureContext
  readonly allowPrivate: BlockList
  /** For the dial; the exchange as a whole ends with the signal of its question. */
  readonly timeoutMs: number
}

export interface IssuerQuestion {
  readonly url: URL
  readonly method: 'GET' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | undefined
  readonly signal: AbortSignal
}

/** An answer as it came. The body is an issuer's text: it may hold a token, and is printed nowhere. */
export interface IssuerAnswer {
  readonly status: number
  readonly retryAfter: string | undefined
  readonly body: string
}

/**
 * One request to an authorization server, on a connection of its own: redirects are not followed, no proxy variable is
 * heeded, and an answer is 64 KiB at most and not compressed.
 * @throws Problem `credential-unavailable` when the issuer cannot be reached or does not answer in time,
 * `credential-failed` when it is not who it should be, or its answer is not HTTP
 */
export async function exchange(route: IssuerRoute, question: IssuerQuestion): Promise<IssuerAnswer> {
  const client = clientFor(route, question.url)
  try {
    return await readAnswer(await client.request(requestOf(question)))
  } catch (error) {
    throw problemOf(error, question.url.host)
  } finally {
    void client.destroy()
  }
}

function clientFor({ dialer, trust, allowPrivate, timeoutMs }: IssuerRoute, url: URL): Client {
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
    maxResponseSize: MAX_BODY_BYTES,
    maxHeaderSize: MAX_HEAD_BYTES,
  })
}

function requestOf({ url, method, headers, body, signal }: IssuerQuestion): Dispatcher.RequestOptions {
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

async function readAnswer({ statusCode, headers, body }: Dispatcher.ResponseData): Promise<IssuerAnswer> {
  const coding = headers['content-encoding'] ?? 'identity'
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(await body.arrayBuffer())
  const retryAfter = headers['retry-after']
  return {
    status: statusCode,
    retryAfter: typeof retryAfter === 'string' ? retryAfter : undefined,
    // It was asked for as it is. Not unpacking it is the bound on what a small body can unpack to.
    body: coding === 'identity' ? text : '',
  }
}

/** The error itself is not kept as the cause: undici's parser error carries the raw answer, and so may carry a token. */
function problemOf(error: unknown, host: string): Problem {
  if (error instanceof Problem) return problemOfDial(error, host)
  const { code = 'no code', name = '', message = '' } = error as { code?: string; name?: string; message?: string } // undici throws errors, and node's have a code
  if (name === 'TimeoutError') {
    return new Problem('credential-unavailable', { reason: `${host} did not answer in time` })
  }
  // undici 8 gives its parser's errors a name and no code; one about EOF is an answer that was cut off.
  const isNotHttp = (name === 'HTTPParserError' && !message.includes('EOF')) || code.startsWith('HPE_')
  if (isNotHttp || code === 'UND_ERR_HEADERS_OVERFLOW' || code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE') {
    return new Problem('credential-failed', {
      reason: `the answer of ${host} is too large or not HTTP (${code})`,
      retryAfter: 1,
    })
  }
  return new Problem('credential-unavailable', { reason: `the exchange with ${host} broke off (${code})` })
}

/** A forbidden address or an untrusted certificate needs a person, who may mend it without our settings changing. */
function problemOfDial(cause: Problem, host: string): Problem {
  const reason = `${host}: ${cause.reason}`
  if (NEEDS_PERSON.has(cause.code)) return new Problem('credential-failed', { reason, cause, retryAfter: 1 })
  return new Problem('credential-unavailable', { reason, cause })
}

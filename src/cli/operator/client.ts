import type { IncomingMessage } from 'node:http'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { z } from '../../forms/zod.ts'
import { http } from '../../wire/node-http.ts'
import { codeOf } from '../../wire/opening.ts'
import type { OperatorDoor } from './door.ts'

/** What is asked of the admin API. */
export interface Request {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** As in `/v1/grants`; names in it are percent-encoded already. */
  readonly path: string
  /** What is undefined is left out. */
  readonly query?: Readonly<Record<string, string | number | undefined>>
  readonly body?: object
}

/** The operator's door said no. */
export class Refused extends Error {
  override readonly name = 'Refused'
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

/** How long an answer may keep us waiting; a stream is not bounded. */
const TIMEOUT_MS = 30_000

/**
 * Asks once, and reads the answer by this schema.
 * @throws Refused, Error in words
 */
export async function ask<S extends z.ZodType>(door: OperatorDoor, schema: S, request: Request): Promise<z.output<S>> {
  const response = await send(door, request, AbortSignal.timeout(TIMEOUT_MS))
  const body = await text(response)
  if ((response.statusCode ?? 0) >= 400) throw refusalOf(body, response.statusCode ?? 0)
  const parsed = schema.safeParse(body === '' ? undefined : json(body))
  if (parsed.success) return parsed.data
  throw new Error(`${door.said} answers in another way than this version expects: use the sallyport that it runs`)
}

/** Every item of a list, page by page. */
export async function* askAll<S extends z.ZodType>(
  door: OperatorDoor,
  item: S,
  request: Request,
): AsyncGenerator<z.output<S>> {
  const page = z.object({ items: z.array(item), cursor: z.string().optional() })
  let cursor: string | undefined
  do {
    const answer = await ask(door, page, { ...request, query: { limit: 1000, ...request.query, cursor } })
    yield* answer.items
    cursor = answer.cursor
  } while (cursor !== undefined)
}

/** The lines of a stream, as they come, until it ends or the signal does. */
export async function* lines(door: OperatorDoor, request: Request, signal: AbortSignal): AsyncGenerator<string> {
  const response = await send(door, request, signal)
  if ((response.statusCode ?? 0) >= 400) throw refusalOf(await text(response), response.statusCode ?? 0)
  try {
    yield* createInterface({ input: response, crlfDelay: Number.POSITIVE_INFINITY })
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

/** No proxy variable has a say, because an agent of one's own reads none. */
async function send(
  { place, token, said }: OperatorDoor,
  { method = 'GET', path, query = {}, body }: Request,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const to = place.kind === 'unix' ? { socketPath: place.path } : { host: place.host, port: place.port }
  const payload = body === undefined ? undefined : JSON.stringify(body)
  const headers = {
    Host:
      place.kind === 'unix'
        ? 'localhost'
        : `${place.host.includes(':') ? `[${place.host}]` : place.host}:${place.port}`,
    ...(token !== undefined && { Authorization: `Bearer ${token}` }),
    ...(payload !== undefined && { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(payload) }),
  }
  const asked = http.request({ ...to, method, path: path + queryOf(query), headers, signal, agent: false })
  asked.end(payload)
  return new Promise((resolve, reject) => {
    asked
      .once('response', resolve)
      .once('error', (error) => reject(signal.aborted ? late(said) : unreachable(said, error)))
  })
}

function queryOf(query: NonNullable<Request['query']>): string {
  const pairs = Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]))
  return pairs.length === 0 ? '' : `?${new URLSearchParams(pairs).toString()}`
}

function unreachable(said: string, error: unknown): Error {
  const code = codeOf(error)
  const why = code === 'EACCES' ? 'this user may not open it' : 'is the sidecar running?'
  return new Error(`nobody answers at ${said} (${code}): ${why}`)
}

function late(said: string): Error {
  return new Error(`${said} does not answer in time`)
}

const problem = z.object({
  title: z.string(),
  detail: z.string().optional(),
  code: z.string(),
  errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
})

function refusalOf(body: string, status: number): Error {
  const parsed = problem.safeParse(json(body))
  if (!parsed.success) return new Error(`the answer is ${status}, and not of a Sallyport's admin door`)
  const { title, detail, code, errors = [] } = parsed.data
  const all = errors.map((error) => `  ${error.pointer.replace(/^#\//, '')}: ${error.detail}`)
  // Where each field has its own line, the detail is all of them at once.
  const rest = all.length > 0 || detail === undefined ? all : [detail]
  const hint = status === 401 ? ['Name the file of your token with --token-file.'] : []
  return new Refused(code, [`${title} (${code})`, ...rest, ...hint].join('\n'))
}

function json(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

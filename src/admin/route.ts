import type { Readable } from 'node:stream'
import { z } from '../forms/zod.ts'
import type { AdminProblemCode } from './admin-problems.ts'
import type { Operator } from './operators.ts'
import type { AdminPorts } from './ports.ts'
import type { Role } from './role.ts'

/** What the parts of a request have been found to be. */
export interface Asked<P, Q, B> {
  readonly params: P
  readonly query: Q
  readonly body: B
  readonly operator: Operator
  /** The event after which a tail is to go on, as the client says. */
  readonly lastEventId: string | undefined
}

/** What one change did, for the audit. `before` and `after` are absent where the thing was not there. */
export interface Effect {
  readonly subject: string
  readonly before?: unknown
  readonly after?: unknown
}

/** The answer to a change, and what it did. An answer that takes its time is asked for once that is recorded. */
export interface Changed<R> {
  readonly answer: R | (() => Promise<R>)
  readonly effects: readonly Effect[]
}

/** No parameters, or no body. */
const nothing = z.strictObject({})
type Empty = typeof nothing

/** What a route says of itself; the OpenAPI document is made of it. */
export interface Description {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** As OpenAPI writes it: `/v1/grants/{id}`. */
  readonly path: string
  readonly summary: string
  /** What it needs an operator to be. */
  readonly role: Role
  readonly params: z.ZodObject
  readonly query: z.ZodObject
  /** Absent: no body. */
  readonly body: z.ZodObject | undefined
  /** The body may be left out. */
  readonly isBodyOptional: boolean
  readonly status: 200 | 201 | 204
  /** JSON, of this schema; a stream of that media type; nothing. */
  readonly response: z.ZodObject | 'application/x-ndjson' | 'text/event-stream' | undefined
  /** Why it may say no, beside what every route may say. */
  readonly problems: readonly AdminProblemCode[]
  /** Of what changes something: its name in the audit. */
  readonly action: string | undefined
  /** It only takes away: it is done, and kept to be recorded, even where the audit can take no more. */
  readonly isTaking: boolean
}

/** One line of the route table: what it says of itself, and what it does with a request that fits. */
export interface Route extends Description {
  /** What a change is about, for the audit of one that is refused; undefined: the path says it. */
  subject(asked: Asked<never, never, never>): string | undefined
  handle(asked: Asked<never, never, never>, ports: AdminPorts): Promise<Changed<unknown>>
}

interface Words<P extends z.ZodObject, Q extends z.ZodObject, B extends z.ZodObject>
  extends Pick<Description, 'path' | 'summary' | 'role'> {
  readonly params?: P
  readonly query?: Q
  readonly body?: B
  readonly isBodyOptional?: true
  readonly problems?: readonly AdminProblemCode[]
}

interface Look<P extends z.ZodObject, Q extends z.ZodObject, B extends z.ZodObject, R extends z.ZodObject>
  extends Words<P, Q, B> {
  /** POST where what is asked about does not fit into a query. */
  readonly method?: 'GET' | 'POST'
  readonly response: R
  handle(asked: Asked<z.output<P>, z.output<Q>, z.output<B>>, ports: AdminPorts): Promise<z.output<R>> | z.output<R>
}

/** A route that looks, and changes nothing. */
export function look<
  R extends z.ZodObject,
  P extends z.ZodObject = Empty,
  Q extends z.ZodObject = Empty,
  B extends z.ZodObject = Empty,
>({ method = 'GET', response, handle, ...words }: Look<P, Q, B, R>): Route {
  return {
    ...described(words),
    method,
    status: 200,
    response,
    action: undefined,
    isTaking: false,
    subject: () => undefined,
    handle: async (asked, ports) => ({ answer: await handle(asked, ports), effects: [] }),
  }
}

interface Stream<Q extends z.ZodObject> extends Words<Empty, Q, Empty> {
  readonly response: 'application/x-ndjson' | 'text/event-stream'
  handle(asked: Asked<object, z.output<Q>, object>, ports: AdminPorts): Promise<Readable> | Readable
}

/** A route that looks, and goes on for as long as there is something to say. */
export function stream<Q extends z.ZodObject = Empty>({ response, handle, ...words }: Stream<Q>): Route {
  return {
    ...described(words),
    method: 'GET',
    status: 200,
    response,
    action: undefined,
    isTaking: false,
    subject: () => undefined,
    handle: async (asked, ports) => ({ answer: await handle(asked, ports), effects: [] }),
  }
}

interface Change<P extends z.ZodObject, B extends z.ZodObject, R extends z.ZodObject> extends Words<P, Empty, B> {
  readonly method: 'POST' | 'PUT' | 'DELETE'
  readonly status?: 201
  /** Without it the answer is 204. */
  readonly response?: R
  readonly action: string
  readonly isTaking?: true
  /** What it is about, where the path does not say it. */
  subject?(asked: Asked<z.output<P>, object, z.output<B>>): string
  handle(
    asked: Asked<z.output<P>, object, z.output<B>>,
    ports: AdminPorts,
  ): Promise<Changed<[R] extends [never] ? undefined : z.output<R>>>
}

/** A route that changes something, and says what was before and what is after. */
export function change<R extends z.ZodObject = never, P extends z.ZodObject = Empty, B extends z.ZodObject = Empty>({
  method,
  status,
  response,
  action,
  isTaking,
  subject,
  handle,
  ...words
}: Change<P, B, R>): Route {
  const success = response === undefined ? 204 : 200
  return {
    ...described(words),
    method,
    status: status ?? success,
    response,
    action,
    isTaking: isTaking ?? false,
    subject: subject ?? (() => undefined),
    handle,
  }
}

/** Handlers take what their own schemas give; `serve` parses by those very schemas before it calls them. */
function described<P extends z.ZodObject, Q extends z.ZodObject, B extends z.ZodObject>(words: Words<P, Q, B>) {
  const { path, summary, role, params, query, body, isBodyOptional, problems } = words
  return {
    path,
    summary,
    role,
    params: params ?? nothing,
    query: query ?? nothing,
    body,
    isBodyOptional: isBodyOptional ?? false,
    problems: problems ?? [],
  }
}

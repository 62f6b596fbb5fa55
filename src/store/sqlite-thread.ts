import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'

/** One statement, once, or once for `each` of these parameters, and then for all of them or for none. */
export type Work =
  | { readonly sql: string; readonly parameters: readonly unknown[] }
  | { readonly sql: string; readonly each: readonly (readonly unknown[])[] }

/** Work is done in the order of asking. */
export interface Question {
  readonly id: number
  readonly work: Work
}

/** What came of it. */
export type Answer =
  | { readonly id: number; readonly rows: readonly unknown[]; readonly changes: number; readonly fault?: undefined }
  | { readonly id: number; readonly fault: { readonly message: string; readonly errcode: number | undefined } }

/** `setUp`: SQL that is run first. */
export interface ThreadTerms {
  readonly path: string
  readonly setUp: string
}

/** Blocks a thread that has nothing else to do. */
const BUSY_MS = 5_000
/** Beside this very file: as it is in a checkout, and as it is in the image. */
const WORKER = new URL(import.meta.url.endsWith('.ts') ? './sqlite-worker.ts' : './sqlite-worker.mjs', import.meta.url)

/** Kysely over such a thread. */
export function sqliteThreadDialect(thread: SqliteThread): Dialect {
  return {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => thread,
    createIntrospector: (db: Kysely<unknown>) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  }
}

type Done = Extract<Answer, { changes: number }>
type Waiting = PromiseWithResolvers<Done>

/** Node's own SQLite in a thread of its own: a slow disk stops nobody but those who wait for it. */
export class SqliteThread implements Driver, DatabaseConnection {
  readonly #terms: ThreadTerms
  readonly #waiting = new Map<number, Waiting>()
  #worker: Worker | undefined
  #count = 0
  #isDestroyed = false

  constructor(terms: ThreadTerms) {
    this.#terms = terms
  }

  async init(): Promise<void> {
    this.#start()
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    return this
  }

  async beginTransaction(): Promise<void> {
    await this.executeQuery(CompiledQuery.raw('begin immediate'))
  }

  async commitTransaction(): Promise<void> {
    await this.executeQuery(CompiledQuery.raw('commit'))
  }

  async rollbackTransaction(): Promise<void> {
    await this.executeQuery(CompiledQuery.raw('rollback'))
  }

  async releaseConnection(): Promise<void> {
    // There is only one, and Kysely gives it to one at a time.
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    const { rows, changes } = await this.run({ sql, parameters })
    // What the query asks for is what its type says.
    return { rows: rows as R[], numAffectedRows: BigInt(changes) }
  }

  /** @throws Error that carries the `errcode` of SQLite, where it has one */
  async run(work: Work): Promise<Done> {
    if (this.#isDestroyed) throw new Error('the store was closed')
    const worker = this.#worker ?? this.#start()
    const id = ++this.#count
    const waiting: Waiting = Promise.withResolvers()
    this.#waiting.set(id, waiting)
    // A process that has nothing else to do waits for this answer, and for no more.
    worker.ref()
    worker.postMessage({ id, work } satisfies Question, [])
    return waiting.promise
  }

  // oxlint-disable-next-line require-yield
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('nothing is streamed here')
  }

  async destroy(): Promise<void> {
    const worker = this.#worker
    this.#isDestroyed = true
    if (!worker) return
    const gone = once(worker, 'exit')
    worker.ref()
    worker.postMessage('close', [])
    await gone
  }

  #start(): Worker {
    const worker = new Worker(WORKER, { workerData: { ...this.#terms, timeout: BUSY_MS } })
    worker.on('message', (answer: Answer) => this.#answered(answer, worker))
    worker.on('error', (error) => this.#lost(worker, error))
    worker.on('exit', () => this.#lost(worker, new Error('the thread of the database has ended')))
    worker.unref()
    this.#worker = worker
    return worker
  }

  #answered(answer: Answer, worker: Worker): void {
    const waiting = this.#waiting.get(answer.id)
    this.#waiting.delete(answer.id)
    if (this.#waiting.size === 0) worker.unref()
    if (answer.fault) waiting?.reject(Object.assign(new Error(answer.fault.message), { errcode: answer.fault.errcode }))
    else waiting?.resolve(answer)
  }

  /** The next question starts another. */
  #lost(worker: Worker, error: unknown): void {
    if (this.#worker !== worker) return
    this.#worker = undefined
    for (const waiting of this.#waiting.values()) waiting.reject(error)
    this.#waiting.clear()
  }
}

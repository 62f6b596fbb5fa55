import { Worker } from 'node:worker_threads'
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'

/**
 * What runs in the thread. Text, so that it needs no file of its own in a bundle. It waits for other writers as long as it
 * takes, because it keeps nobody waiting; a failure comes back as what `sqliteFault` reads.
 */
const PROGRAM = `
const { parentPort, workerData } = require('node:worker_threads')
const { DatabaseSync } = require('node:sqlite')
const database = new DatabaseSync(workerData.place, { timeout: 5000 })
database.exec('pragma journal_mode = WAL; pragma synchronous = NORMAL')
const statements = new Map()
function prepare(sql) {
  if (statements.size > 100) statements.clear()
  if (!statements.has(sql)) statements.set(sql, database.prepare(sql))
  return statements.get(sql)
}
parentPort.on('message', ({ id, sql, parameters }) => {
  try {
    parentPort.postMessage({ id, rows: prepare(sql).all(...parameters) })
  } catch ({ message, errcode }) {
    parentPort.postMessage({ id, message, errcode })
  }
})
`

interface Answer {
  readonly id: number
  readonly rows?: readonly unknown[]
  readonly message?: string
  readonly errcode?: number
}

interface Question {
  resolve(rows: readonly unknown[]): void
  reject(error: Error): void
}

/** Kysely over SQLite in a thread of its own, for what is large: no request waits while rows are written, or searched. */
export function sqliteThreadDialect(place: string): Dialect {
  return {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new ThreadDriver(place),
    createIntrospector: (db: Kysely<unknown>) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  }
}

/** One connection, whose statements are done one after the other; each is a transaction by itself. */
class ThreadDriver implements Driver, DatabaseConnection {
  readonly #place: string
  readonly #questions = new Map<number, Question>()
  #worker: Worker | undefined
  #count = 0

  constructor(place: string) {
    this.#place = place
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    return this
  }

  async releaseConnection(): Promise<void> {}

  async beginTransaction(): Promise<void> {
    throw new Error('there are no transactions in this thread')
  }

  commitTransaction = this.beginTransaction
  rollbackTransaction = this.beginTransaction

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    const id = this.#count++
    const worker = this.#opened()
    const rows = await new Promise<readonly unknown[]>((resolve, reject) => {
      this.#questions.set(id, { resolve, reject })
      worker.ref()
      // A thread is not a window: there is no origin.
      // oxlint-disable-next-line unicorn/require-post-message-target-origin
      worker.postMessage({ id, sql, parameters })
    })
    // The types of Kysely say what the rows of its own query are.
    return { rows: rows as R[] }
  }

  streamQuery(): AsyncIterableIterator<never> {
    throw new Error('nothing is streamed from this thread')
  }

  #opened(): Worker {
    this.#worker ??= this.#start()
    return this.#worker
  }

  /** It keeps nobody from ending unless there is something to do. */
  #start(): Worker {
    const worker = new Worker(PROGRAM, { eval: true, workerData: { place: this.#place } })
    worker.unref()
    worker.on('message', (answer: Answer) => this.#answer(answer))
    worker.on('error', (error) => this.#fail(error instanceof Error ? error : new Error(String(error))))
    worker.on('exit', () => this.#fail(new Error(`the thread of ${this.#place} has ended`)))
    return worker
  }

  #answer({ id, rows, message, errcode }: Answer): void {
    const question = this.#questions.get(id)
    this.#questions.delete(id)
    if (this.#questions.size === 0) this.#worker?.unref()
    if (rows) question?.resolve(rows)
    else question?.reject(Object.assign(new Error(message), { errcode }))
  }

  /** The next question starts another one. */
  #fail(error: Error): void {
    this.#worker = undefined
    for (const question of this.#questions.values()) question.reject(error)
    this.#questions.clear()
  }

  async destroy(): Promise<void> {
    await this.#worker?.terminate()
  }
}

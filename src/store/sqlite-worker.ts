import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import type { Answer, Question, Work } from './sqlite-thread.ts'

/** The other end of `sqlite-thread.ts`: one open file, and one statement after the other. */
const { path, setUp, timeout } = workerData as { path: string; setUp: string; timeout: number }
const file = new DatabaseSync(path, { timeout, enableForeignKeyConstraints: true })
const prepared = new Map<string, StatementSync>()
const MAX_STATEMENTS = 100
file.exec(setUp)

parentPort?.on('message', (question: Question | 'close') => {
  if (question !== 'close') return parentPort?.postMessage(answerTo(question), [])
  file.close()
  parentPort?.close()
})

function answerTo({ id, work }: Question): Answer {
  try {
    // A full disk makes SQLite roll back by itself; a second time is an error that would hide the first.
    if (work.sql === 'rollback' && !file.isTransaction) return { id, rows: [], changes: 0 }
    return { id, ...run(work, statementOf(work.sql)) }
  } catch (error) {
    const { message, errcode } = error as { message: string; errcode?: number }
    return { id, fault: { message, errcode } }
  }
}

function run(work: Work, statement: StatementSync): { rows: unknown[]; changes: number } {
  if ('each' in work) return { rows: [], changes: runEach(work.each as SQLInputValue[][], statement) }
  const parameters = work.parameters as SQLInputValue[]
  if (statement.columns().length > 0) return { rows: statement.all(...parameters), changes: 0 }
  return { rows: [], changes: Number(statement.run(...parameters).changes) }
}

function runEach(each: SQLInputValue[][], statement: StatementSync): number {
  file.exec('begin immediate')
  try {
    const changes = each.reduce((sum, parameters) => sum + Number(statement.run(...parameters).changes), 0)
    file.exec('commit')
    return changes
  } finally {
    if (file.isTransaction) file.exec('rollback')
  }
}

function statementOf(sql: string): StatementSync {
  const before = prepared.get(sql)
  if (before) return before
  if (prepared.size >= MAX_STATEMENTS) prepared.clear()
  const statement = file.prepare(sql)
  prepared.set(sql, statement)
  return statement
}

import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import { type SqliteDatabase, SqliteDialect, type SqliteStatement } from 'kysely'

const MAX_STATEMENTS = 100

/** Kysely over Node's own SQLite. */
export function sqliteDialect(database: DatabaseSync): SqliteDialect {
  return new SqliteDialect({ database: adapted(database) })
}

/** What Kysely asks of better-sqlite3. Statements are prepared once. */
function adapted(database: DatabaseSync): SqliteDatabase {
  const prepared = new Map<string, SqliteStatement>()
  return {
    prepare(sql) {
      // A full disk makes SQLite roll back by itself; a second time is an error that would hide the first.
      if (sql === 'rollback' && !database.isTransaction) return NOTHING
      const before = prepared.get(sql)
      if (before) return before
      if (prepared.size >= MAX_STATEMENTS) prepared.clear()
      const statement = statementOf(database.prepare(sql))
      prepared.set(sql, statement)
      return statement
    },
    close() {
      prepared.clear()
      if (database.isOpen) database.close()
    },
  }
}

function statementOf(statement: StatementSync): SqliteStatement {
  return {
    reader: statement.columns().length > 0,
    // Kysely's parameters are whatever the queries of this room were given: text, numbers and null.
    all: (parameters) => statement.all(...(parameters as SQLInputValue[])),
    run: (parameters) => statement.run(...(parameters as SQLInputValue[])),
    iterate: (parameters) => statement.iterate(...(parameters as SQLInputValue[])),
  }
}

const NOTHING: SqliteStatement = {
  reader: false,
  all: () => [],
  run: () => ({ changes: 0, lastInsertRowid: 0 }),
  iterate: () => [].values(),
}

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Kysely, sql } from 'kysely'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { SqliteThread, sqliteThreadDialect } from '../../src/store/sqlite-thread.ts'
import { until } from '../support/stores.ts'

let path: string

beforeEach(() => {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-thread-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  path = join(directory, 'a.db')
})

function open(setUp = 'create table if not exists t (n integer primary key, s text)'): Kysely<unknown> {
  return new Kysely({ dialect: sqliteThreadDialect(new SqliteThread({ path, setUp })) })
}

async function all(db: Kysely<unknown>): Promise<unknown[]> {
  return (await sql`select n from t order by n`.execute(db)).rows.map((row) => (row as { n: number }).n)
}

test('answers each question with its own answer, in whatever number they come', async () => {
  const db = open()
  const asked = Array.from({ length: 50 }, (_, n) =>
    sql`insert into t values (${n}, ${`ü${n}`}) returning s`.execute(db),
  )
  const answers = await Promise.all(asked)
  expect(answers.map(({ rows }) => rows[0])).toEqual(answers.map((_, n) => ({ s: `ü${n}` })))
  expect((await sql`delete from t where n < 7`.execute(db)).numAffectedRows).toBe(7n)
  await db.destroy()
})

test('keeps a transaction whole, and what others ask meanwhile out of it', async () => {
  const db = open()
  const failing = db.transaction().execute(async (one) => {
    await sql`insert into t (n) values (1)`.execute(one)
    await sql`insert into t (n) values (1)`.execute(one)
  })
  const beside = sql`insert into t (n) values (2)`.execute(db)
  await expect(failing).rejects.toMatchObject({ errcode: 1555 })
  await beside
  expect(await all(db)).toEqual([2])
  await db.destroy()
})

test('runs a statement for each of many rows, for all of them or for none', async () => {
  const thread = new SqliteThread({ path, setUp: 'create table t (n integer primary key, s text)' })
  const insert = 'insert into t (n, s) values (?, ?)'
  expect(await thread.run({ sql: insert, each: [] })).toMatchObject({ changes: 0 })
  const each = [1, 2, 3].map((n) => [n, n === 2 ? null : `"ü${n}"`])
  expect(await thread.run({ sql: insert, each })).toMatchObject({ changes: 3 })
  const second = thread.run({ sql: insert, each: [...[4, 5].map((n) => [n, 'x']), [1, 'taken']] })
  await expect(second).rejects.toMatchObject({ errcode: 1555 })
  const { rows } = await thread.run({ sql: 'select n, s from t order by n', parameters: [] })
  expect(rows.map((row) => ({ ...(row as object) }))).toEqual([
    { n: 1, s: '"ü1"' },
    { n: 2, s: null },
    { n: 3, s: '"ü3"' },
  ])
  await thread.destroy()
})

test('waits for another process in its thread, and does not stop this one', async () => {
  const db = open()
  expect(await all(db)).toEqual([])
  const other = new DatabaseSync(path)
  other.exec('begin immediate')
  const inserted = sql`insert into t (n) values (1)`.execute(db)
  let ticks = 0
  const ticking = setInterval(() => ticks++, 5)
  await until(() => ticks > 3)
  other.exec('commit')
  other.close()
  await inserted
  clearInterval(ticking)
  await db.destroy()
})

test('fails, and does not hang, when the thread cannot start, and tries again with the next question', async () => {
  const db = open('insert into nowhere values (1)')
  await expect(sql`select 1`.execute(db)).rejects.toThrow('no such table: nowhere')
  const file = new DatabaseSync(path)
  file.exec('create table nowhere (n integer)')
  file.close()
  expect((await sql`select n from nowhere`.execute(db)).rows).toEqual([{ n: 1 }])
  await db.destroy()
})

test('answers nobody once it is closed', async () => {
  const db = open()
  const settled = Promise.allSettled([all(db), all(db)])
  await db.destroy()
  await settled
  await expect(all(db)).rejects.toThrow()
})

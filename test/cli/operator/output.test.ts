import { expect, test } from 'vitest'
import { type Column, factsOf, tableOf } from '../../../src/cli/operator/output.ts'

interface Row {
  readonly name: string
  readonly note?: string
}

const COLUMNS: readonly Column<Row>[] = [
  { head: 'NAME', text: ({ name }) => name },
  { head: 'NOTE', text: ({ note }) => note },
]

test('columns are as wide as they have to be, and nothing is cut', () => {
  const long = 'x'.repeat(200)
  expect(tableOf([{ name: long }, { name: 'b', note: 'n' }], COLUMNS, 'none')).toBe(
    `NAME${' '.repeat(196)}  NOTE\n${long}  -\nb${' '.repeat(199)}  n\n`,
  )
})

test('where there is nothing, that is said', () => {
  expect(tableOf([], COLUMNS, 'none')).toBe('none\n')
})

test('what a caller has chosen does not speak to the terminal', () => {
  const text = tableOf([{ name: '\u001B[2Jgone\u202Eback\r\n' }], COLUMNS, 'none')
  expect(text).toBe('NAME         NOTE\ngone?back??  -\n')
  expect(factsOf({ path: '/a\u0007\u009B31m' })).not.toMatch(/[^\n -~]/)
})

test('facts that are not known are left out', () => {
  expect(factsOf({ name: 'crm', until: undefined, holders: 0 })).toBe('name     crm\nholders  0\n')
})

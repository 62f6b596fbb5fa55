import { expect, test } from 'vitest'
import { nextId } from '../../src/store/ids.ts'

test('each id is a UUID of version 7, and sorts after the one before', () => {
  const ids = Array.from({ length: 20_000 }, nextId)
  expect(ids.filter((id) => !/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id))).toEqual(
    [],
  )
  expect(ids.filter((id, index) => index > 0 && id <= (ids[index - 1] ?? ''))).toEqual([])
})

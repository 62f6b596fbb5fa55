import { describe, expect, test } from 'vitest'
import { fillIn, placeholdersIn } from '../../../src/credentials/http-mint/json-template.ts'
import { JSON_POINTER, pointTo } from '../../../src/credentials/json-pointer.ts'
import { parseJsonObject } from '../../../src/wire/json-object.ts'

const members = (value: object) => parseJsonObject(JSON.stringify(value)) ?? new Map()

describe('a JSON pointer', () => {
  test.each([
    ['/token', 'a'],
    ['/auth/client_token', 'b'],
    ['/list/1/token', 'c'],
    ['/a~1b', 'd'],
    ['/m~0n', 'e'],
    ['/~01', 'f'],
    ['/', 'g'],
    ['/__proto__/x', 'h'],
  ])('%s leads to %s', (pointer, value) => {
    const text =
      '{"token":"a","auth":{"client_token":"b"},"list":[0,{"token":"c"}],"a/b":"d","m~n":"e","~1":"f","":"g","__proto__":{"x":"h"}}'
    expect(JSON_POINTER.test(pointer)).toBe(true)
    expect(pointTo(pointer, parseJsonObject(text) ?? new Map())).toBe(value)
  })

  test.each([
    ['/none'],
    ['/token/length'],
    ['/auth/toString'],
    ['/list/01'],
    ['/list/-'],
    ['/list/length'],
    ['/constructor'],
  ])('%s leads to nothing', (pointer) => {
    expect(pointTo(pointer, members({ token: 'a', auth: {}, list: [1, 2] }))).toBeUndefined()
  })

  test.each([[''], ['token'], ['#/token'], ['/a~2'], ['/a~']])('%j is none', (text) => {
    expect(JSON_POINTER.test(text)).toBe(false)
  })
})

describe('a template', () => {
  const valueOf = (name: string) => ({ id: 'role', secret: '"},{"x":"$&${id}' })[name] ?? 'none'

  test('is filled in wherever a text stands, and what is filled in stays a text', () => {
    const template = { role_id: '${id}', list: ['a ${id} b ${secret}', 1, true, null], '${id}': 2 }
    expect(JSON.parse(JSON.stringify(fillIn(template, valueOf)))).toEqual({
      role_id: 'role',
      list: ['a role b "},{"x":"$&${id}', 1, true, null],
      '${id}': 2,
    })
  })

  test('can hold what looks like a placeholder', () => {
    expect(fillIn('$${id} $id {id}', valueOf)).toBe('${id} $id {id}')
    expect(placeholdersIn('$${id} $id {id}')).toEqual([])
  })

  test('tells the names in it, also of one that is not closed', () => {
    expect(placeholdersIn({ a: '${id}', b: ['${secret}-${id}', { c: '${open' }], d: 1 })).toEqual([
      'id',
      'secret',
      'id',
      'open',
    ])
  })
})

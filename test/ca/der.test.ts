import { expect, test } from 'vitest'
import { decode, encode, SEQUENCE } from '../../src/ca/der.ts'

test.each([0, 1, 127, 128, 255, 256, 65_535, 65_536])('what is encoded is decoded, at a length of %i', (length) => {
  const content = Buffer.alloc(length, 7)
  const [element, ...rest] = decode(encode(SEQUENCE, [content]))
  expect(element).toMatchObject({ tag: SEQUENCE, content })
  expect(rest).toEqual([])
})

test('a length takes as few bytes as it can', () => {
  expect(encode(SEQUENCE, [Buffer.alloc(127)]).subarray(0, 2)).toEqual(Buffer.from('307f', 'hex'))
  expect(encode(SEQUENCE, [Buffer.alloc(128)]).subarray(0, 3)).toEqual(Buffer.from('308180', 'hex'))
  expect(encode(SEQUENCE, [Buffer.alloc(256)]).subarray(0, 4)).toEqual(Buffer.from('30820100', 'hex'))
})

test('elements stand one after another', () => {
  const elements = decode(Buffer.from('0201053000', 'hex'))
  expect(elements.map(({ tag, content }) => [tag, content.toString('hex')])).toEqual([
    [2, '05'],
    [SEQUENCE, ''],
  ])
})

test.each(['30', '3001', '3081', '30820100', '308400ffffff', '30800000'])('what is cut off is refused: %s', (hex) => {
  expect(() => decode(Buffer.from(hex, 'hex'))).toThrow('cut off')
})

import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseHost, parseName } from '../../src/core/host.ts'

const LABEL_63 = 'a'.repeat(63)
const NAME_253 = `${`${'a'.repeat(49)}.`.repeat(5)}abc`

describe('a host in any spelling that all parsers read alike has one canonical form', () => {
  test.each([
    ['D05', 'api.test', 'api.test'],
    ['D05', 'api.test.', 'api.test'],
    ['D06', 'API.TEST', 'api.test'],
    ['D06', 'aPi.TeSt.', 'api.test'],
    ['D09', 'xn--bcher-kva.test', 'xn--bcher-kva.test'],
    ['D09', 'XN--BCHER-KVA.test', 'xn--bcher-kva.test'],
    ['D09', 'xn--fa-hia.test', 'xn--fa-hia.test'],
    ['D13', 'a_b.test', 'a_b.test'],
    ['D13', '_srv.test', '_srv.test'],
    ['D13', `${LABEL_63}.test`, `${LABEL_63}.test`],
    ['D13', NAME_253, NAME_253],
    ['D13', `${NAME_253}.`, NAME_253],
    ['D04', 'api-test', 'api-test'],
    ['', 'localhost', 'localhost'],
    ['', '1a.test', '1a.test'],
    ['', 'a.0xg', 'a.0xg'],
    ['', '127.0.0.1', '127.0.0.1'],
    ['', '[::1]', '[::1]'],
    ['', '[FD00::A]', '[fd00::a]'],
    ['', '[::FFFF:127.0.0.1]', '[::ffff:127.0.0.1]'],
  ])('%s %j', (_, text, canonical) => {
    expect(parseHost(text)).toBe(canonical)
  })
})

describe('what parsers read differently, or not at all, is no host', () => {
  test.each([
    ['D05', 'api.test..'],
    ['D05', '.api.test'],
    ['D05', '.'],
    ['D05', ''],
    ['D07', '[api.test]'],
    ['D07', '[[::1]]'],
    ['D07', '[::1'],
    ['D07', '::1]'],
    ['D07', '::1'],
    ['D07', '[]'],
    ['D07', '[127.0.0.1]'],
    ['D08', '*.x.test'],
    ['D09', 'ａｐｉ.test'],
    ['D09', 'api。test'],
    ['D09', 'a\u00adpi.test'],
    ['D09', 'a\u200dpi.test'],
    ['D09', 'faß.test'],
    ['D09', 'api\u212a.test'],
    ['D09', 'xn--.test'],
    ['D09', 'xn--a.test'],
    ['D09', 'xn--0.test'],
    ['D09', 'xn--xn--a.test'],
    ['D09', 'xn--a-ecp.test'],
    ['D10', 'a%70i.test'],
    ['D10', 'api%2etest'],
    ['D10', 'api.test%00.evil.test'],
    ['D11', 'evil.test\0.api.test'],
    ['D12', 'exa\tmple.test'],
    ['D12', 'api.test\x0b'],
    ['D12', 'api.test\n'],
    ['D12', 'api.test\u00a0'],
    ['D12', 'api.test%20'],
    ['D12', 'api.test '],
    ['D13', '-a.test'],
    ['D13', 'a-.test'],
    ['D13', `a${LABEL_63}.test`],
    ['D13', `a${NAME_253}`],
    ['D13', 'a..b'],
    ['', '127.1'],
    ['', '127.0.0.1.'],
    ['', '010.0.0.1'],
    ['', '2130706433'],
    ['', '0x7f000001'],
    ['', '0x7f.1'],
    ['', '1.2.3.4.5'],
    ['', 'a.0x'],
    ['', '[fe80::1%eth0]'],
    ['', '[fe80::1%25eth0]'],
    ['', 'api.test:443'],
    ['', 'user@api.test'],
    ['', 'api.test/'],
    ['', 'api.test\\@evil.test'],
    ['', 'api.test#'],
    ['', 'api.test,evil.test'],
  ])('%s %j', (_, text) => {
    expect(parseHost(text)).toBeUndefined()
  })
})

test.each(['127.0.0.1', '[::1]'])('the address %s is no name', (text) => {
  expect(parseName(text)).toBeUndefined()
})

test('a canonical form is its own, and WHATWG reads it alike', () => {
  const label = fc.stringMatching(/^[A-Za-z0-9_-]{1,12}$/)
  const text = fc.oneof(
    fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.')),
    fc.domain(),
  )
  fc.assert(
    fc.property(text, (name) => {
      const host = parseHost(name)
      if (host === undefined) return
      expect(parseHost(host)).toBe(host)
      expect(new URL(`http://${host}/`).hostname).toBe(host)
    }),
  )
})

test('no text makes it throw', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.nat(0xffff).map((code) => String.fromCharCode(code)) }),
      (text) => void parseHost(text),
    ),
  )
})

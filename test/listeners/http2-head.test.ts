import { expect, test } from 'vitest'
import { readStreamHead } from '../../src/listeners/http2-head.ts'

const PSEUDO = [':method', 'GET', ':scheme', 'https', ':authority', 'api.test', ':path', '/v1?a=b']

function read(raw: readonly string[], endsStream = true) {
  return readStreamHead(raw, { scheme: 'https', endsStream })
}

test('a head becomes what HTTP/1 would have said: Host for :authority, everything else as it stood', () => {
  expect(read([...PSEUDO, 'x-b', '2', 'x-a', '1', 'x-b', '3'])).toEqual({
    method: 'GET',
    target: '/v1?a=b',
    fields: ['Host', 'api.test', 'x-b', '2', 'x-a', '1', 'x-b', '3'],
    framing: { body: 'none' },
    fault: undefined,
  })
})

test('crumbs of a cookie become one again, for upstreams that read the first alone', () => {
  const { fields } = read([...PSEUDO, 'cookie', 'a=1', 'x', 'y', 'cookie', 'b=2'])
  expect(fields).toEqual(['Host', 'api.test', 'x', 'y', 'cookie', 'a=1; b=2'])
})

test('a Host that says the same as :authority is one Host', () => {
  expect(read([...PSEUDO, 'host', 'api.test'])).toMatchObject({ fault: undefined, fields: ['Host', 'api.test'] })
})

test.each([
  [true, [], { body: 'none' }],
  [false, [], { body: 'chunked' }],
  [false, ['content-length', '3'], { body: 'length', length: 3 }],
] as const)('END_STREAM %s and %j: what follows is %j', (endsStream, fields, framing) => {
  expect(read([...PSEUDO, ...fields], endsStream)).toMatchObject({ framing, fault: undefined })
})

const without = (name: string) => PSEUDO.toSpliced(PSEUDO.indexOf(name), 2)

test.each([
  ['no :method', without(':method')],
  ['no :scheme', without(':scheme')],
  ['no :authority', without(':authority')],
  ['no :path', without(':path')],
  ['two :method', [...PSEUDO, ':method', 'POST']],
  ['two :authority', [...PSEUDO, ':authority', 'other.test']],
  ['a :scheme that is not of the connection', PSEUDO.with(3, 'http')],
  ['an unknown pseudo-field', [...PSEUDO, ':protocol', 'websocket']],
  ['a pseudo-field behind the others', [...without(':path'), 'x', 'y', ':path', '/']],
  ['CONNECT', PSEUDO.with(1, 'CONNECT')],
  ['another Host', [...PSEUDO, 'host', 'other.test']],
  ['a field in upper case', [...PSEUDO, 'X-Upper', 'y']],
  ['Connection', [...PSEUDO, 'connection', 'x-own']],
  ['Keep-Alive', [...PSEUDO, 'keep-alive', 'timeout=5']],
  ['Proxy-Connection', [...PSEUDO, 'proxy-connection', 'close']],
  ['Transfer-Encoding', [...PSEUDO, 'transfer-encoding', 'chunked']],
  ['Upgrade', [...PSEUDO, 'upgrade', 'websocket']],
  ['TE of a coding', [...PSEUDO, 'te', 'gzip']],
  ['two lengths', [...PSEUDO, 'content-length', '3', 'content-length', '3']],
  ['a length that is no number', [...PSEUDO, 'content-length', '+3']],
  ['a look-alike of a length', [...PSEUDO, 'content_length', '3']],
  ['a line break in a value', [...PSEUDO, 'x', 'a\r\nb: c']],
  ['a blank in a name', [...PSEUDO, 'x y', 'z']],
  ['an authority that is none', PSEUDO.with(5, 'a@b')],
])('%s is malformed', (_what, raw) => {
  expect(read(raw).fault).toMatchObject({ code: 'request-malformed' })
})

test('more fields than anyone needs are too many', () => {
  const many = Array.from({ length: 200 }, (_, at) => [`x-${at}`, 'y']).flat()
  expect(read([...PSEUDO, ...many]).fault).toMatchObject({ code: 'head-too-large' })
})

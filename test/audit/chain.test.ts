import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { NO_HASH } from '../../src/audit/chain.ts'
import { isUnaltered, readLine } from '../../src/audit/read-line.ts'
import { entryOf, linesOf, makeChain } from '../support/audit.ts'

test('ends each line with whose it is, its number, the hash before and its own', () => {
  const chain = makeChain('host-1')
  const [one, two] = linesOf(chain, 2)
  const { run } = chain.head
  expect(Object.entries(JSON.parse(one?.line ?? '')).slice(-5)).toEqual([
    ['instance', 'host-1'],
    ['run', run],
    ['seq', 1],
    ['prev', NO_HASH],
    ['hash', one?.hash],
  ])
  expect(JSON.parse(two?.line ?? '')).toMatchObject({ msg: 'ask', seq: 2, prev: one?.hash })
})

test('anybody can verify a hash with sed and sha256sum', () => {
  const [line] = linesOf(makeChain(), 1)
  const script = `sed -E 's/,"hash":"[0-9a-f]{64}"\\}$/}/' | tr -d '\\n' | sha256sum`
  const printed = execFileSync('sh', ['-c', script], { input: `${line?.line}\n`, encoding: 'utf8' })
  expect(printed.split(' ')[0]).toBe(line?.hash)
})

test('hashes the bytes of UTF-8, whatever is in them', () => {
  const line = makeChain('hôst').link({ kind: 'ask', body: entryOf({ reason: 'größer als "∞" \u2028 😀' }) })
  const text = line.line.replace(`,"hash":"${line.hash}"`, '')
  expect(createHash('sha256').update(Buffer.from(text, 'utf8')).digest('hex')).toBe(line.hash)
  expect(isUnaltered(line)).toBe(true)
})

test('goes on from the last line of the run before', () => {
  const [before] = linesOf(makeChain(), 1)
  const [after] = linesOf(makeChain('host-1', before), 1)
  expect(JSON.parse(after?.line ?? '')).toMatchObject({ seq: 1, prev: before?.hash })
})

test('what cannot be written leaves the chain as it was', () => {
  const chain = makeChain()
  const circular: { self?: object } = {}
  circular.self = circular
  const change = { time: '', id: '', operator: 'o', proof: 'p', action: 'a', subject: 's', code: undefined }
  const [one] = linesOf(chain, 1)
  expect(() => chain.link({ kind: 'change', body: { ...change, before: circular, after: 1 } })).toThrow()
  expect(chain.head).toMatchObject({ seq: 1, hash: one?.hash })
})

test('a line that was read back says the same, and is found by the same keys', () => {
  const chain = makeChain()
  const lines = [
    ...linesOf(chain, 1),
    chain.link({ kind: 'ask', body: entryOf({ code: 'grant-missing', credential: undefined, caller: undefined }) }),
    chain.link({ kind: 'change', body: grantChange('grant.add', 'g1') }),
    chain.link({ kind: 'change', body: { ...grantChange('connection.disable', 'crm'), after: undefined } }),
  ]
  for (const line of lines) {
    const { instance, run, seq, hash, keys } = line
    expect(readLine(line.line)).toMatchObject({ line: line.line, instance, run, seq, hash, keys })
  }
  expect(lines.map(({ keys }) => keys)).toMatchObject([
    { kind: 'ask', caller: 'checkout', secret: 'file:secrets/crm@01234567', fingerprint: '0123456789abcdef' },
    { kind: 'ask', code: 'grant-missing', connection: 'crm' },
    { kind: 'change', grant: 'g1', caller: 'checkout', connection: 'crm' },
    { kind: 'change', connection: 'crm' },
  ])
  expect(lines[0]?.keys.time).toBe(Date.parse('2027-01-02T03:04:05.678Z'))
})

function grantChange(action: string, subject: string) {
  const after = { holder: { caller: 'checkout' }, connection: 'crm' }
  const time = '2027-01-02T03:04:05.678Z'
  return {
    time,
    id: 'c',
    operator: 'ann',
    proof: 'unix-peer',
    action,
    subject,
    before: undefined,
    after,
    code: undefined,
  }
}

test.each([
  ['', 'nothing'],
  ['{"msg":"ready","listeners":[]}', 'a line of something else'],
  ['{"msg":"ask","time":"2027', 'a line that was cut short'],
  ['null', 'JSON of another form'],
])('%s is no line of the audit: %s', (text) => expect(readLine(text)).toBeUndefined())

import { expect, test } from 'vitest'
import { blastRadius, type SearchedRows } from '../../src/audit/rows.ts'
import type { AuditLine } from '../../src/core/audit-line.ts'
import { entryOf, linesOfRows, makeChain } from '../support/audit.ts'

const credential = { source: 'static', version: 'secret 1' }
const chain = makeChain()
const lines = [
  chain.link({ kind: 'ask', body: entryOf({ credential: { ...credential, fingerprint: 'f1', secret: 'crm@1' } }) }),
  chain.link({
    kind: 'ask',
    body: entryOf({
      credential: { ...credential, fingerprint: 'f2', secret: 'crm@1' },
      caller: 'mobile',
      time: '2027-01-03T00:00:00Z',
    }),
  }),
  chain.link({ kind: 'ask', body: entryOf({ credential: { ...credential, fingerprint: 'f3', secret: 'crm@2' } }) }),
]

/** Rows that give one a page. */
const rows = {
  async find({ fingerprint, secret, cursor }: Parameters<SearchedRows['find']>[0]) {
    const fitting = lines.filter(({ keys }) => keys.fingerprint === fingerprint || keys.secret === secret)
    const at = Number(cursor ?? 0)
    return { lines: fitting.slice(at, at + 1), cursor: at + 1 < fitting.length ? String(at + 1) : undefined }
  },
  async walk(after: Pick<AuditLine, 'seq'> | undefined, limit: number) {
    return lines.slice(after?.seq ?? 0, (after?.seq ?? 0) + limit)
  },
}

test('every request whose credential came from a secret, summed up', async () => {
  expect(await blastRadius(rows, { secret: 'crm@1' })).toEqual({
    requests: 2,
    firstAt: Date.parse('2027-01-02T03:04:05.678Z'),
    lastAt: Date.parse('2027-01-03T00:00:00Z'),
    callers: [
      { name: 'checkout', count: 1 },
      { name: 'mobile', count: 1 },
    ],
    connections: [{ name: 'crm', count: 2 }],
    hosts: [{ name: 'api.crm.test', count: 2 }],
    fingerprints: [
      { name: 'f1', count: 1 },
      { name: 'f2', count: 1 },
    ],
    secrets: [{ name: 'crm@1', count: 2 }],
  })
})

test('every request that used one credential, and nothing where none did', async () => {
  expect(await blastRadius(rows, { fingerprint: 'f3' })).toMatchObject({ requests: 1, secrets: [{ name: 'crm@2' }] })
  expect(await blastRadius(rows, { fingerprint: 'f9' })).toMatchObject({ requests: 0, firstAt: undefined, callers: [] })
})

test('the lines of a store come page by page, to the last one', async () => {
  const seen: string[] = []
  for await (const line of linesOfRows(rows, 2)) seen.push(line)
  expect(seen).toEqual(lines.map(({ line }) => line))
})

import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import type { AuditFilter, AuditKeys, AuditLine } from '../../src/store/audit-rows.ts'
import { storeKinds } from '../../src/store/registry.ts'
import type { Store } from '../../src/store/store.ts'
import { hasTool } from '../support/debian.ts'
import { open, StorePlaces } from '../support/stores.ts'

const places = new StorePlaces()

afterAll(() => places.close())

function line(seq: number, keys: Partial<AuditKeys> = {}, of = { instance: 'one', run: 'r1' }): AuditLine {
  const text = JSON.stringify({ msg: 'ask', path: `/${seq}/"\\u0000 ü \u2028` })
  return { line: text, ...of, seq, hash: `h${seq}`, keys: { time: 1_700_000_000_000 + seq, kind: 'ask', ...keys } }
}

const ALL = {
  caller: 'app',
  connection: 'crm',
  grant: 'grants[0]',
  host: 'api.test',
  fingerprint: 'f1',
  secret: 'crm@1',
}

// Object.keys has forgotten the names of the keys.
const kinds = Object.keys(storeKinds) as (keyof typeof storeKinds)[]

describe.each(kinds)('the audit in the store %s', (kind) => {
  const test_ = test.skipIf(kind === 'postgres' && !hasTool('postgresql'))
  let store: Store

  beforeEach(async ({ task }) => {
    if (task.mode !== 'skip') store = await open(await places.make(kind))
  })

  async function found(filter: AuditFilter = {}): Promise<number[]> {
    return (await store.audit.find(filter)).lines.map(({ seq }) => seq)
  }

  test_('gives lines back to the byte, with all that they are found by', async () => {
    const lines = [line(1, ALL), line(2)]
    await store.audit.insert(lines)
    expect((await store.audit.find({ order: 'oldest' })).lines).toEqual(lines)
    expect(await store.audit.find({ caller: 'nobody' })).toEqual({ lines: [], cursor: undefined })
  })

  test_('keeps a line once, however often it is sent, and as it was first', async () => {
    await store.audit.insert([line(1), line(2)])
    await store.audit.insert([{ ...line(2), line: 'forged', hash: 'other' }, line(3), line(3)])
    await Promise.all([store.audit.insert([line(4)]), store.audit.insert([line(4)]), store.audit.insert([])])
    expect(await found()).toEqual([4, 3, 2, 1])
    expect((await store.audit.find({})).lines[2]).toEqual(line(2))
  })

  test_('tells runs and instances apart', async () => {
    const rows = [line(1), line(1, {}, { instance: 'one', run: 'r2' }), line(1, {}, { instance: 'two', run: 'r1' })]
    await store.audit.insert(rows)
    expect((await store.audit.find({})).lines).toHaveLength(3)
    expect((await store.audit.find({ instance: 'two' })).lines).toEqual([rows[2]])
  })

  test_.for(Object.keys(ALL) as (keyof typeof ALL)[])('is found by %s', async (name) => {
    await store.audit.insert([line(1, ALL), line(2, { ...ALL, [name]: 'another' }), line(3)])
    expect(await found({ [name]: ALL[name] })).toEqual([1])
    expect(await found({ ...ALL, [name]: 'another' })).toEqual([2])
  })

  test_('is found by kind, by code and by time: from then on, and before then', async () => {
    await store.audit.insert([line(1, { code: 'grant-missing' }), line(2, { kind: 'change' }), line(3), line(4)])
    expect(await found({ code: 'grant-missing' })).toEqual([1])
    expect(await found({ kind: 'change' })).toEqual([2])
    expect(await found({ since: 1_700_000_000_002, until: 1_700_000_000_004 })).toEqual([3, 2])
  })

  test_.for(['newest', 'oldest'] as const)('is read page by page, the %s first, each line once', async (order) => {
    const lines = Array.from({ length: 25 }, (_, index) =>
      // Some share a millisecond.
      line(index + 1, { time: 1_700_000_000_000 + Math.floor(index / 4), caller: 'app' }),
    )
    await store.audit.insert(lines)
    const seen: number[] = []
    let cursor: string | undefined
    do {
      const page = await store.audit.find({ caller: 'app', order, limit: 7, cursor })
      seen.push(...page.lines.map(({ seq }) => seq))
      cursor = page.cursor
    } while (cursor !== undefined)
    const wanted = lines.map(({ seq }) => seq)
    expect(seen).toEqual(order === 'oldest' ? wanted : wanted.toReversed())
  })

  test_('has no next page where nothing is left', async () => {
    await store.audit.insert([line(1), line(2)])
    expect((await store.audit.find({ limit: 2 })).cursor).toBeUndefined()
  })

  test_('gives 100 lines a page, and 1000 at most', async () => {
    await store.audit.insert(Array.from({ length: 1_200 }, (_, index) => line(index + 1)))
    expect(await found()).toHaveLength(100)
    expect(await found({ limit: 5_000 })).toHaveLength(1_000)
  })

  test_.for([['x'], ['e30'], [Buffer.from('[1,"a","b","c; drop table audit"]').toString('base64url')]])(
    'refuses the cursor %j',
    async ([cursor]) => {
      await expect(store.audit.find({ cursor })).rejects.toThrow('use the cursor as it was given')
    },
  )

  test_('takes every text for what it is', async () => {
    const caller = `'; drop table audit; --"\\%_`
    await store.audit.insert([line(1, { caller }), line(2)])
    expect(await found({ caller })).toEqual([1])
    expect(await found({ caller: '%' })).toEqual([])
  })

  test_('knows the newest line of each instance', async () => {
    await store.audit.insert([line(1), line(2), line(1, { time: 1_800_000_000_000 }, { instance: 'one', run: 'r2' })])
    await store.audit.insert([line(9, { time: 1_900_000_000_000 }, { instance: 'two', run: 'r1' })])
    expect(await store.audit.latest('one')).toEqual({ run: 'r2', seq: 1, hash: 'h1' })
    expect(await store.audit.latest('nobody')).toBeUndefined()
  })

  test_('an ask that came early and ended late is the newest line all the same', async () => {
    await store.audit.insert([line(1), line(2, { time: 1_600_000_000_000 })])
    expect(await store.audit.latest('one')).toMatchObject({ seq: 2 })
  })

  test_('is walked through in the order of the chain: by instance, run and number', async () => {
    const of = (instance: string, run: string, seq: number) => line(seq, { time: 9_000 - seq }, { instance, run })
    const rows = [of('one', 'r1', 1), of('one', 'r1', 2), of('one', 'r1', 10), of('one', 'r2', 1), of('two', 'r1', 1)]
    await store.audit.insert(rows.toReversed())
    const seen: AuditLine[] = []
    for (;;) {
      const lines = await store.audit.walk(seen.at(-1), 2)
      if (lines.length === 0) break
      seen.push(...lines)
    }
    expect(seen).toEqual(rows)
  })

  test_('counts permitted asks alone, by caller, connection and grant', async () => {
    const refused = { ...ALL, code: 'grant-expired' }
    const failed = { ...ALL, code: 'upstream-unreachable' }
    await store.audit.insert([
      line(1, ALL),
      line(2, ALL),
      line(3, refused),
      line(4, failed),
      line(5, { kind: 'change' }),
    ])
    await store.audit.insert([line(6, { ...ALL, grant: 'g2' }), line(7, { caller: 'app' })])
    const own = { caller: 'app', connection: 'crm' }
    const rows = [...(await store.audit.usage(1_700_000_000_002))]
    expect(rows.sort((one, other) => other.count - one.count)).toEqual([
      { ...own, grant: 'grants[0]', count: 2, lastAt: 1_700_000_000_004 },
      { ...own, grant: 'g2', count: 1, lastAt: 1_700_000_000_006 },
    ])
  })
})

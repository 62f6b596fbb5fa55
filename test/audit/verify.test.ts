import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { Audit } from '../../src/audit/audit.ts'
import { createSigner } from '../../src/audit/checkpoint.ts'
import type { Sink } from '../../src/audit/sink.ts'
import { verifyAudit } from '../../src/audit/verify.ts'
import type { AuditHead, AuditLine } from '../../src/core/audit-line.ts'
import { entryOf } from '../support/audit.ts'
import { HandClock } from '../support/hand-clock.ts'
import { References } from '../support/references.ts'

const ours = generateKeyPairSync('ed25519')
const theirs = generateKeyPairSync('ed25519')
const publicKeys = [ours.publicKey.export({ type: 'spki', format: 'pem' })]
const EVERY_MS = 60_000

interface Wishes {
  readonly asks?: number
  readonly after?: AuditHead | undefined
  readonly key?: typeof ours | undefined
  readonly run?: string
  /** What happens between two asks. */
  readonly between?: (clock: HandClock) => void
}

/** The lines of one whole run: start, checkpoint, asks, checkpoint. */
async function runOf({ asks = 4, after, key = ours, run = nextRun(), between = () => undefined }: Wishes = {}) {
  const lines: AuditLine[] = []
  const clock = new HandClock()
  const pem = key.privateKey.export({ type: 'pkcs8', format: 'pem' })
  const signer = createSigner(new References(pem).secret())
  const audit = new Audit({
    instance: 'host-1',
    run,
    settingsDigest: 'd',
    after,
    sinks: [{ name: 'test', sink: sinkInto(lines) }],
    whenFull: 'refuse',
    checkpoints: { signer, everyMs: EVERY_MS },
    clock,
    onFault: (name, reason) => expect.unreachable(`${name}: ${reason}`),
  })
  audit.begin()
  for (let index = 0; index < asks; index++) {
    between(clock)
    audit.ask(entryOf({ id: `ask ${index}`, time: new Date(clock.now()).toISOString() }))
  }
  await audit.close()
  return lines
}

let runs = 0

function nextRun(): string {
  return `run-${String(++runs).padStart(4, '0')}`
}

function sinkInto(lines: AuditLine[]): Sink {
  return {
    write: (line) => void lines.push(line),
    isFull: () => false,
    waitingBytes: () => 0,
    limitBytes: () => 1,
    latest: async () => undefined,
    close: async () => undefined,
  }
}

function textOf(...lists: readonly (readonly AuditLine[])[]): string[] {
  return lists.flat().map(({ line }) => line)
}

/** Three runs, each after the other. */
async function three() {
  const one = await runOf()
  const two = await runOf({ after: one.at(-1) })
  const three = await runOf({ after: two.at(-1) })
  return { one, two, three, all: textOf(one, two, three) }
}

test('an audit that nobody touched is intact, and signed to its end', async () => {
  const { all, three: last } = await three()
  const found = await verifyAudit(all, { publicKeys })
  expect(found).toMatchObject({
    isIntact: true,
    fault: undefined,
    lines: 21,
    runs: 3,
    signed: 6,
    unsigned: 0,
    dropped: 0,
  })
  expect(found.heads.get('host-1')).toEqual({ run: last[0]?.run, seq: 7, hash: last.at(-1)?.hash })
})

test('without keys the chain alone is looked at', async () => {
  const { all } = await three()
  expect(await verifyAudit(all)).toMatchObject({ isIntact: true, signed: 0, unsigned: 21 })
})

test('takes lines as a stream, and passes over empty ones', async () => {
  const { all } = await three()
  async function* stream() {
    for (const line of all) yield* [line, '']
  }
  expect(await verifyAudit(stream(), { publicKeys })).toMatchObject({ isIntact: true, lines: 21 })
})

describe('tampering with the lines of a run (index 3 is entry 4)', () => {
  test.each([
    ['a byte is flipped', flip, { code: 'altered', line: 4, seq: 4 }],
    ['a line is deleted', (lines: string[]) => lines.toSpliced(3, 1), { code: 'missing', line: 4, seq: 4 }],
    ['three are deleted', (lines: string[]) => lines.toSpliced(2, 3), { code: 'missing', line: 3, seq: 3 }],
    [
      'two are swapped',
      (lines: string[]) => lines.toSpliced(3, 2, lines[4] ?? '', lines[3] ?? ''),
      { code: 'reordered', line: 4, seq: 4 },
    ],
    [
      'a line is there twice',
      (lines: string[]) => lines.toSpliced(4, 0, lines[3] ?? ''),
      { code: 'duplicated', line: 5, seq: 4 },
    ],
    [
      'one is cut short',
      (lines: string[]) => lines.with(3, (lines[3] ?? '').slice(0, 90)),
      { code: 'malformed', line: 4 },
    ],
    ['the start is deleted', (lines: string[]) => lines.toSpliced(0, 1), undefined],
  ])('%s', async (_what, tamper, fault) => {
    const lines = textOf(await runOf())
    const found = await verifyAudit(tamper(lines), { publicKeys })
    expect(found.isIntact).toBe(fault === undefined)
    if (fault) expect(found.fault).toMatchObject(fault)
  })
})

function flip(lines: string[]): string[] {
  return lines.with(3, (lines[3] ?? '').replace('checkout', 'checkouT'))
}

describe('tampering with runs', () => {
  test('a tail that was cut off shows in the run after it', async () => {
    const { one, two } = await three()
    const found = await verifyAudit(textOf(one.slice(0, -2), two), { publicKeys })
    expect(found.fault).toMatchObject({ code: 'tail-missing', run: one[0]?.run, seq: 6, line: 6 })
    expect(found.fault?.message).toContain('entries 6 to 7')
  })

  test('the tail of the last run shows where another sink knows more', async () => {
    const { one, two } = await three()
    const heads = new Map([['host-1', two.at(-1) as AuditHead]])
    expect(await verifyAudit(textOf(one, two), { heads })).toMatchObject({ isIntact: true })
    const found = await verifyAudit(textOf(one, two.slice(0, 3)), { heads })
    expect(found.fault).toMatchObject({ code: 'tail-missing', seq: 7, line: 11 })
    expect((await verifyAudit([], { heads })).fault).toMatchObject({ code: 'tail-missing' })
  })

  test('a run that was dropped is missed', async () => {
    const { one, two, three: last } = await three()
    const found = await verifyAudit(textOf(one, last), { publicKeys })
    expect(found.fault).toMatchObject({ code: 'run-missing', line: 8, run: last[0]?.run })
    expect(found.fault?.message).toContain(two[0]?.run)
  })

  test('a run that was spliced in from elsewhere names none, or another one', async () => {
    const { one, two } = await three()
    const foreign = await runOf()
    const found = await verifyAudit(textOf(one, foreign, two), { publicKeys })
    expect(found.fault).toMatchObject({ code: 'unlinked', line: 8, run: foreign[0]?.run })
  })

  test('a run that is played again is no second one', async () => {
    const { one, two } = await three()
    const found = await verifyAudit(textOf(one, two, one), { publicKeys })
    expect(found.fault).toMatchObject({ code: 'duplicated', line: 15, run: one[0]?.run, seq: 1 })
    expect(found.faults).toBe(7)
  })

  test('a run may be missing its beginning where nothing was read before: old files are thrown away', async () => {
    const { one, two } = await three()
    expect(await verifyAudit(textOf(one.slice(3), two), { publicKeys })).toMatchObject({ isIntact: true })
  })

  test('runs of several instances, and several at once, do not disturb each other', async () => {
    const first = await runOf()
    const one = await runOf({ after: first.at(-1) })
    const other = await runOf({ after: first.at(-1) })
    const mixed = one.flatMap((line, index) => [line, other[index]]).filter((line) => line !== undefined)
    expect(await verifyAudit(textOf(first, mixed), { publicKeys })).toMatchObject({ isIntact: true, runs: 3 })
  })
})

describe('where it begins', () => {
  test('with the first line ever written, nothing is to be said', async () => {
    const { all } = await three()
    expect((await verifyAudit(all)).beginnings).toEqual(new Map())
  })

  test('lines that were cut off in front are told by where the rest begins', async () => {
    const { one, two } = await three()
    const { isIntact, beginnings } = await verifyAudit(textOf(one.slice(3), two), { publicKeys })
    expect([isIntact, beginnings]).toEqual([true, new Map([['host-1', { run: one[0]?.run, seq: 4 }]])])
  })

  test('runs that were cut off in front are told by the line that the first one follows', async () => {
    const { one, two } = await three()
    const { isIntact, beginnings } = await verifyAudit(textOf(two))
    const after = { run: one[0]?.run, seq: 7, hash: one.at(-1)?.hash }
    expect([isIntact, beginnings.get('host-1')]).toEqual([true, { run: two[0]?.run, seq: 1, after }])
  })
})

describe('a part of an audit', () => {
  test('has lines that are missing and out of place, and is no more than that', async () => {
    const { one, two, three: last } = await three()
    const found = await verifyAudit(
      textOf([one[4], one[2], one[6], two[3], last[5]].filter((line) => line !== undefined)),
    )
    expect(found).toMatchObject({ isIntact: false, isPartial: true })
    expect(found.beginnings.get('host-1')).toMatchObject({ seq: 3 })
    expect((await verifyAudit(textOf(one.toSpliced(2, 2)), { publicKeys })).isPartial).toBe(true)
  })

  test('may have more holes than are remembered, and lines that come late', async () => {
    const lines = await runOf({ asks: 5000 })
    const [long, ...rest] = lines.toReversed().filter(({ keys }) => keys.kind === 'ask')
    const part = [long, ...rest.toReversed().filter(({ seq }) => seq % 2 === 0)].filter((line) => line !== undefined)
    const found = await verifyAudit(textOf(part))
    expect(found).toMatchObject({ isPartial: true, lines: 2500 })
    expect(await verifyAudit(textOf(part, part.slice(-1)))).toMatchObject({ isPartial: false })
  })

  test.each([
    ['with a line that was changed', flip],
    ['with a line that is there twice', (lines: string[]) => lines.toSpliced(4, 0, lines[3] ?? '')],
    ['with a line that was cut short', (lines: string[]) => lines.with(3, (lines[3] ?? '').slice(0, 90))],
  ])('%s is damaged', async (_what, damage) => {
    const lines = damage(textOf(await runOf())).toSpliced(1, 1)
    expect(await verifyAudit(lines)).toMatchObject({ isIntact: false, isPartial: false })
  })

  test('nothing is partial about what is whole', async () => {
    expect((await verifyAudit((await three()).all)).isPartial).toBe(false)
  })
})

describe('checkpoints', () => {
  test('whoever writes everything anew has not got the key', async () => {
    const forged = await runOf({ key: theirs })
    const found = await verifyAudit(textOf(forged), { publicKeys })
    expect(found.fault).toMatchObject({ code: 'checkpoint-forged', line: 2, seq: 2 })
    expect(found.fault?.message).toContain('none of the keys')
    expect(found).toMatchObject({ signed: 0, unsigned: 7 })
  })

  test('a signature of another line is not right, though the hashes be made anew', async () => {
    const { Chain } = await import('../../src/audit/chain.ts')
    const lines = await runOf()
    const chain = new Chain({ instance: 'host-1', run: lines[0]?.run ?? '', after: undefined })
    const anew = lines.map(({ line }, index) => {
      const { msg, instance: _i, run: _r, seq: _s, prev: _p, hash: _h, ...body } = JSON.parse(line)
      const covers = { seq: chain.head.seq, hash: chain.head.hash }
      const changed = { ...body, ...(index === 3 && { caller: 'nobody' }), ...(msg === 'checkpoint' && { covers }) }
      return chain.link({ kind: msg, body: changed }).line
    })
    expect(await verifyAudit(anew)).toMatchObject({ isIntact: true })
    const found = await verifyAudit(anew, { publicKeys })
    expect(found.fault).toMatchObject({ code: 'checkpoint-forged', seq: 7 })
    expect(found.fault?.message).toContain('not right')
    // Up to the first checkpoint nothing was changed.
    expect(found).toMatchObject({ signed: 1, unsigned: 5 })
  })

  test('checkpoints that were taken out are missed, because they were promised', async () => {
    const { Chain } = await import('../../src/audit/chain.ts')
    const lines = await runOf({ asks: 5, between: (clock) => clock.advance(EVERY_MS) })
    expect(await verifyAudit(textOf(lines), { publicKeys })).toMatchObject({ isIntact: true, signed: 7 })
    const chain = new Chain({ instance: 'host-1', run: lines[0]?.run ?? '', after: undefined })
    const kept = lines.filter(({ keys }, index) => keys.kind !== 'checkpoint' || index === 1)
    const anew = kept.map(({ line }) => {
      const { msg, instance: _i, run: _r, seq: _s, prev: _p, hash: _h, ...body } = JSON.parse(line)
      return chain.link({ kind: msg, body }).line
    })
    expect(await verifyAudit(anew)).toMatchObject({ isIntact: true })
    expect((await verifyAudit(anew, { publicKeys })).fault).toMatchObject({ code: 'unsigned', seq: 4 })
  })

  test('a checkpoint among lines that are missing is no fault of its own: a sink may have been told to drop them', async () => {
    const lines = await runOf({ asks: 5, between: (clock) => clock.advance(EVERY_MS) })
    const kept = lines.toSpliced(4, 3)
    expect(kept[4]?.keys.kind).toBe('ask')
    const found = await verifyAudit(textOf(kept), { publicKeys })
    expect(found).toMatchObject({ faults: 1, fault: { code: 'missing', seq: 5 } })
  })

  test('a run that promises none is unsigned', async () => {
    const lines: AuditLine[] = []
    const sinks = [{ name: 'test', sink: sinkInto(lines) }]
    const onFault = () => expect.unreachable()
    const parts = {
      instance: 'i',
      run: 'r',
      settingsDigest: 'd',
      after: undefined,
      sinks,
      whenFull: 'refuse',
      clock: new HandClock(),
      onFault,
    } as const
    new Audit({ ...parts, checkpoints: undefined }).ask(entryOf())
    expect((await verifyAudit(textOf(lines), { publicKeys })).fault).toMatchObject({ code: 'unsigned', seq: 1 })
  })

  test('the end of a run that was killed is vouched for by the run after it', async () => {
    const one = (await runOf()).slice(0, 5)
    expect(await verifyAudit(textOf(one), { publicKeys })).toMatchObject({ isIntact: true, unsigned: 3 })
    const two = await runOf({ after: one.at(-1) })
    expect(await verifyAudit(textOf(one, two), { publicKeys })).toMatchObject({ isIntact: true, unsigned: 0 })
  })

  test.each(['hello', theirs.privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64')])(
    'a key that is none is refused in words that do not repeat it',
    (text) => {
      const made = () => createSigner(new References(text).secret())
      expect(made).toThrow('openssl genpkey -algorithm ed25519')
      expect(made).not.toThrow(text)
    },
  )
})

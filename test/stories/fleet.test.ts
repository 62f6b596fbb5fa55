import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { verifyAudit } from '../../src/audit/verify.ts'
import { linesOfRows } from '../support/audit.ts'
import { hasTool } from '../support/debian.ts'
import { startPartition } from '../support/partition.ts'
import { eventually, type Running } from '../support/sallyport.ts'
import { open } from '../support/stores.ts'
import { CALLER_KEY } from './crm.ts'
import { type Fleet, operate, outcome, proofOf, type Stream, startFleet, startLoad, stream } from './fleet.ts'

/** What is promised of a change, from the answer of the admin door on, and besides the time that a request itself takes. */
const WITHIN_MS = 1_000
const SIZE = 10
const CHECKOUT = proofOf('checkout', CALLER_KEY)

describe.skipIf(!hasTool('postgresql'))('ten sidecars on one PostgreSQL', () => {
  let fleet: Fleet
  let first: Running
  let billing: string

  beforeAll(async () => {
    fleet = await startFleet(SIZE)
    first = fleet.sidecars[0] ?? expect.unreachable()
    const { json } = await operate(first, 'POST', '/v1/callers', { name: 'billing' })
    billing = proofOf('billing', String(json['key']))
  })

  afterAll(() => fleet?.close())

  const grant = async (caller: string) =>
    String((await operate(first, 'POST', '/v1/grants', { caller, connection: 'crm' })).json['id'])

  /** How long each takes until it answers that; ms from now on. */
  function delays(proof: string, wanted: string, withinMs = 10_000): Promise<readonly number[]> {
    const from = performance.now()
    return Promise.all(
      fleet.sidecars.map(async (running) => {
        const isSo = async () => ((await outcome(running, proof)) === wanted ? true : undefined)
        await eventually(isSo, `${wanted} at every sidecar`, withinMs)
        return performance.now() - from
      }),
    )
  }

  /** Downloads under way at all but the first, to be cut by what the first is told. */
  async function streams(proof: string): Promise<readonly Stream[]> {
    const begun = await Promise.all(fleet.sidecars.slice(1).map((running) => stream(running, proof)))
    onTestFinished(() => begun.forEach((one) => one.close()))
    expect(begun.map((one) => one.ended())).toEqual(begun.map(() => undefined))
    return begun
  }

  /** How long a request takes just now, at the slowest of all of them asked at once. */
  const askingMs = async (proof: string) => Math.max(...(await delays(proof, '200')))

  async function expectCut(begun: readonly Stream[], from: number, withinMs: number): Promise<void> {
    for (const one of begun) {
      const { at, isReset } = await eventually(one.ended, 'the end of a download')
      expect([at - from < withinMs, isReset], `${Math.round(at - from)} ms`).toEqual([true, true])
      expect(one.text()).toMatch(/first\r\n$/)
    }
  }

  test('know a caller and a grant that one of them was told', async () => {
    await delays(billing, 'grant-missing')
    await grant('billing')
    await delays(billing, '200')
  })

  test('refuse within a second what one of them was told to revoke, and cut what is under way', async () => {
    await grant('checkout')
    await delays(CHECKOUT, '200')
    const begun = await streams(CHECKOUT)
    const withinMs = WITHIN_MS + (await askingMs(CHECKOUT))
    await operate(first, 'POST', '/v1/grants/revoke', { caller: 'checkout', connection: 'crm' })
    const from = performance.now()
    expect(Math.max(...(await delays(CHECKOUT, 'grant-missing')))).toBeLessThan(withinMs)
    await expectCut(begun, from, withinMs)
  })

  test('refuse within a second a connection that one of them was told to disable', async () => {
    await grant('checkout')
    await delays(CHECKOUT, '200')
    const begun = await streams(CHECKOUT)
    const withinMs = WITHIN_MS + (await askingMs(CHECKOUT))
    await operate(first, 'POST', '/v1/connections/crm/disable', { reason: 'their key leaked' })
    const from = performance.now()
    expect(Math.max(...(await delays(CHECKOUT, 'connection-disabled')))).toBeLessThan(withinMs)
    await expectCut(begun, from, withinMs)
    await operate(first, 'POST', '/v1/connections/crm/enable')
    await delays(CHECKOUT, '200')
  })

  test('do not wait for one that is cut off: it serves what it knew, then refuses, and obeys once it is healed', async () => {
    const way = await startPartition(fleet.postgres.port)
    onTestFinished(() => way.close())
    const url = new URL(fleet.url)
    url.port = String(way.port)
    // Longer than the others take on a busy machine.
    const staleMs = 8_000
    const far = await fleet.start('far', { url: url.href, staleMs })
    await grant('checkout')
    const is = (proof: string, wanted: string) => async () =>
      (await outcome(far, proof)) === wanted ? true : undefined
    await eventually(is(CHECKOUT, '200'), 'what was granted')
    const begun = await stream(far, CHECKOUT)
    const withinMs = WITHIN_MS + (await askingMs(CHECKOUT))
    way.cut()
    const cutAt = performance.now()
    await operate(first, 'POST', '/v1/grants/revoke', { caller: 'checkout', connection: 'crm' })
    await delays(CHECKOUT, 'grant-missing', withinMs)
    expect(await outcome(far, CHECKOUT)).toBe('200')
    expect(begun.ended()).toBeUndefined()
    await eventually(is(CHECKOUT, 'store-lost'), 'a refusal', 30_000)
    const servedMs = performance.now() - cutAt
    expect(servedMs).toBeGreaterThan(staleMs - 2_000)
    await eventually(begun.ended, 'the end of a download')
    expect(await outcome(far, billing)).toBe('store-lost')
    way.heal()
    await eventually(is(billing, '200'), 'what is granted still', 30_000)
    expect(await outcome(far, CHECKOUT)).toBe('grant-missing')
    await expectDelivered([far])
  })

  test('lose no entry of the audit when the database is restarted at once under load', {
    timeout: 240_000,
  }, async () => {
    await grant('checkout')
    await delays(CHECKOUT, '200')
    const load = startLoad(fleet.sidecars, [CHECKOUT, billing])
    const more = async (count: number) => {
      const before = load.answered.size
      await eventually(() => load.answered.size >= before + count || undefined, `${count} answers`, 60_000)
    }
    await more(500)
    await fleet.postgres.stop('crash')
    await more(1_000)
    await fleet.postgres.start()
    await more(500)
    await load.end()
    await expectDelivered(fleet.sidecars)
    expect(load.answered).toEqual(load.sent)
    const rows = await fleet.postgres.query('select line from audit where line like \'%"path":"/load/%\'', fleet.url)
    const paths = rows.map(({ line }) => String(JSON.parse(String(line))['path']))
    expect(paths.length).toBe(load.sent.size)
    expect(new Set(paths)).toEqual(load.sent)
  })

  test('leave an audit that is whole: each reaches as far in the store as in its own file', async () => {
    for (const running of fleet.sidecars) expect(await running.stop()).toBe(0)
    const files = fleet.sidecars.map(({ directory }) => readFileSync(join(directory, 'audit.jsonl'), 'utf8'))
    const { heads, ...own } = await verifyAudit(files.flatMap((text) => text.split('\n')))
    expect(own).toMatchObject({ isIntact: true, runs: SIZE })
    expect(heads.size).toBe(SIZE)
    const settings = { kind: 'postgres', url: { env: 'URL' }, key: undefined }
    const store = await open({ directory: first.directory, settings, secrets: new Map([['URL', fleet.url]]) })
    const there = await verifyAudit(linesOfRows(store.audit), { heads })
    expect(there).toMatchObject({ isIntact: true, faults: 0 })
    for (const instance of heads.keys()) expect(there.heads.get(instance)).toEqual(heads.get(instance))
  })
})

/** Nothing waits any more on its way to the store. */
async function expectDelivered(sidecars: readonly Running[]): Promise<void> {
  for (const running of sidecars) {
    const isThrough = async () => {
      const { text } = await operate(running, 'GET', '/metrics')
      return /audit_waiting_bytes\{sink="store"\} 0\n/.test(text) ? true : undefined
    }
    await eventually(isThrough, 'the last entry in the store', 60_000)
  }
}

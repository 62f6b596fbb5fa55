import { describe, expect, test } from 'vitest'
import { FailureLimit, MAX_FAILURES_PER_SECOND } from '../../src/callers/failures.ts'
import { buildIdentify, callerSettings } from '../../src/callers/registry.ts'
import type { Evidence } from '../../src/core/ask.ts'
import { Secret } from '../../src/core/secret.ts'
import { makeCallerTools } from '../support/caller-tools.ts'
import { HandClock } from '../support/hand-clock.ts'
import { claimsAt, jwksOf, makeSigningKey, signToken } from '../support/tokens.ts'

const ISSUER = 'https://issuer.test'
const signer = await makeSigningKey()
const here = { address: '127.0.0.1' } as const

function shows(key: string, from: Partial<Evidence> = here): Evidence {
  return { keys: [{ key: new Secret(key) }], keysAre: 'certain', ...from }
}

function scene() {
  const tools = makeCallerTools({ secret: 'right', file: jwksOf(signer) })
  const job = { kind: 'jwt', issuer: ISSUER, audience: 'a', jwks: { file: 'j' }, claims: { sub: '*' } }
  const identify = buildIdentify(
    {
      job: callerSettings.parse(job),
      app: callerSettings.parse({ kind: 'api-key', key: { file: 'key' } }),
      door: callerSettings.parse({ kind: 'socket' }),
    },
    tools,
  )
  const token = (sub: string) => signToken(signer, claimsAt(tools.clock.now(), { iss: ISSUER, aud: 'a', sub }))
  const code = async (evidence: Evidence) => {
    const found = await identify(evidence)
    return found.name === undefined ? found.code : found.name
  }
  /** As many wrong keys as may be. */
  const exhaust = async (from: Partial<Evidence> = here) => {
    for (let at = 0; at < MAX_FAILURES_PER_SECOND; at++) expect(await code(shows('wrong', from))).toBe('caller-unknown')
  }
  return { ...tools, code, token, exhaust }
}

describe('H15 a peer that shows a thousand wrong proofs in a second', () => {
  test('is told so from the next wrong one on, until there is room again', async () => {
    const { code, exhaust, clock } = scene()
    await exhaust()
    expect(await code(shows('wrong'))).toBe('too-many-failures')
    clock.advance(1)
    expect(await code(shows('wrong'))).toBe('caller-unknown')
    expect(await code(shows('wrong'))).toBe('too-many-failures')
    clock.advance(10_000)
    await exhaust()
    expect(await code(shows('wrong'))).toBe('too-many-failures')
  })

  test('is served what is right: keys, and tokens that are known', async () => {
    const { code, exhaust, token } = scene()
    const known = await token('known')
    expect(await code(shows(known))).toBe('job')
    await exhaust()
    for (let at = 0; at < 50; at++) await code(shows('wrong'))
    expect([await code(shows('right')), await code(shows(known))]).toEqual(['app', 'job'])
  })

  test('has no signature verified that was not seen before, and has it verified once it has stopped', async () => {
    const { code, exhaust, token, clock } = scene()
    await exhaust()
    const unseen = await token('unseen')
    expect(await code(shows(unseen))).toBe('too-many-failures')
    clock.advance(100)
    expect(await code(shows(unseen))).toBe('job')
  })

  test('is nobody else: not another address, another uid, or one who shows nothing', async () => {
    const { code, exhaust } = scene()
    await exhaust()
    const peer = { pid: 1, uid: 7, gid: 7 }
    expect(await code(shows('wrong', { address: '127.0.0.2' }))).toBe('caller-unknown')
    expect(await code(shows('wrong', { peer }))).toBe('caller-unknown')
    expect(await code({ keys: [], keysAre: 'certain', ...here })).toBe('caller-unknown')
    await exhaust({ peer: { ...peer, uid: 8 } })
    expect(await code(shows('wrong', { peer: { ...peer, pid: 2, uid: 8 } }))).toBe('too-many-failures')
    expect(await code(shows('wrong', { peer }))).toBe('caller-unknown')
  })

  test('is not one whose app puts a placeholder beside the door that proves it', async () => {
    const { code } = scene()
    const placeholder: Evidence = { ...shows('sk-placeholder'), keysAre: 'maybe', doorCaller: 'door' }
    for (let at = 0; at < MAX_FAILURES_PER_SECOND + 10; at++) expect(await code(placeholder)).toBe('door')
    expect(await code(shows('wrong'))).toBe('caller-unknown')
  })

  test('is not one whose tokens cannot be judged', async () => {
    const { code, token, references } = scene()
    references.changeFile('broken')
    const text = await token('a')
    for (let at = 0; at < MAX_FAILURES_PER_SECOND + 10; at++) expect(await code(shows(text))).toBe('proof-unverifiable')
  })
})

test.each([
  ['2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff', true],
  ['2001:db8:1:2::1', '2001:db8:1:3::1', false],
  ['::ffff:192.0.2.1', '192.0.2.1', true],
  ['::ffff:192.0.2.1', '::ffff:c000:201', true],
  ['::ffff:192.0.2.1', '::ffff:192.0.2.2', false],
  ['fe80::1%eth0', 'fe80::2%eth0', true],
  ['fe80::1%eth0', 'fe80::1%eth1', false],
  ['::1', '::ffff:127.0.0.1', false],
])('%s and %s are one peer: %s', (one, other, isOne) => {
  const failures = new FailureLimit(new HandClock())
  for (let at = 0; at <= MAX_FAILURES_PER_SECOND; at++) failures.count(shows('wrong', { address: one }))
  expect(failures.isOver(shows('wrong', { address: other }))).toBe(isOne)
})

test('peers are forgotten when there are too many, the one that failed last the longest ago first', () => {
  const failures = new FailureLimit(new HandClock())
  const from = (at: number) => shows('wrong', { address: `10.0.${at >> 8}.${at & 255}` })
  const exhaust = (evidence: Evidence) => {
    for (let at = 0; at <= MAX_FAILURES_PER_SECOND; at++) failures.count(evidence)
  }
  exhaust(from(0))
  exhaust(from(1))
  for (let at = 2; at < 4_096; at++) failures.count(from(at))
  failures.count(from(0))
  failures.count(from(4_096))
  expect([failures.isOver(from(0)), failures.isOver(from(1))]).toEqual([true, false])
})

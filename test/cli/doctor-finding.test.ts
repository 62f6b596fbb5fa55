import { expect, test } from 'vitest'
import { examine, examineAll, type Finding, failure } from '../../src/cli/doctor/finding.ts'
import { exitCodeOf, inJson, inWords } from '../../src/cli/doctor/report.ts'
import { expiry } from '../../src/cli/doctor/words.ts'
import { Problem } from '../../src/core/problem.ts'
import { inShell } from '../../src/forms/in-shell.ts'

const FINDING: Finding = { check: 'caller', subject: 'x', state: 'failed', says: 'is wrong' }

test('what one subject throws is a failure of its own, and the others are told', async () => {
  const told = await examineAll(['a', 'b'], (subject) =>
    examine(subject, async () => {
      if (subject === 'a') throw new Error('a/key is open to other users: chmod 600')
      return { subject, state: 'ok', says: 'is right' }
    }),
  )
  expect(told).toEqual([
    { subject: 'a', state: 'failed', says: 'a/key is open to other users', remedy: 'chmod 600' },
    { subject: 'b', state: 'ok', says: 'is right' },
  ])
})

test('what takes too long is a failure, and its signal ends the work', async () => {
  let signal: AbortSignal | undefined
  const look = (given: AbortSignal) => {
    signal = given
    return new Promise<never>(() => undefined)
  }
  expect(await examine('slow', look, 20)).toMatchObject([{ state: 'failed', says: 'took more than 0.02 s' }])
  expect(signal?.aborted).toBe(true)
})

test('of a Problem its reason is told, and what its code advises', () => {
  const told = failure('crm', new Problem('upstream-unresolved', { reason: 'api.test has no address' }))
  expect(told).toMatchObject({ says: 'api.test has no address', remedy: expect.stringContaining('dns.hosts') })
})

test('the exit code counts failures alone, and stays below those that mean something to shells', () => {
  expect(exitCodeOf([FINDING, FINDING, { ...FINDING, state: 'warning' }, { ...FINDING, state: 'skipped' }])).toBe(2)
  expect(exitCodeOf(Array.from({ length: 300 }, () => FINDING))).toBe(125)
})

test('for programs, all findings and the number of failures', () => {
  const findings: Finding[] = [FINDING, { ...FINDING, state: 'ok' }]
  expect(JSON.parse(inJson(findings))).toEqual({ findings, failed: 1 })
})

test('for people, findings of one check stand together', () => {
  const told = inWords([FINDING, { ...FINDING, check: 'trust', remedy: 'export A=b' }, { ...FINDING, state: 'ok' }])
  expect(told).toBe(
    [
      'caller',
      '  failed   x: is wrong',
      '  ok       x: is wrong',
      '',
      'trust',
      '  failed   x: is wrong',
      '             export A=b',
      '',
      '2 failed, 0 warning, 0 skipped, 1 ok',
      '',
    ].join('\n'),
  )
})

test.each([
  ['/etc/sallyport/bundle.pem', '/etc/sallyport/bundle.pem'],
  ['/home/a b/s.yaml', "'/home/a b/s.yaml'"],
  ["it's $(HOME)", `'it'\\''s $(HOME)'`],
  ['', "''"],
])('a word for a shell: %s', (word, quoted) => {
  expect(inShell(word)).toBe(quoted)
})

test.each([
  [undefined, 'ok'],
  [1_000, 'failed'],
  [1_001, 'warning'],
  [1_000 + 14 * 86_400_000, 'warning'],
  [1_001 + 14 * 86_400_000, 'ok'],
])('what ends at %s is, at 1000, %s', (at, state) => {
  expect(expiry(at, 1_000).state).toBe(state)
})

import { expect, test } from 'vitest'
import { Audit } from '../../src/audit/audit.ts'
import type { AuditLine } from '../../src/core/audit-line.ts'
import { entryOf } from '../support/audit.ts'
import { HandClock } from '../support/hand-clock.ts'

test.each(['refuse', 'drop'] as const)(
  'with %s, from the end of the audit on nothing may happen, because nothing would be recorded',
  async (whenFull) => {
    const lines: AuditLine[] = []
    const faults: string[] = []
    const sink = {
      write: (line: AuditLine) => void lines.push(line),
      isFull: () => false,
      waitingBytes: () => 0,
      limitBytes: () => 1,
      latest: () => Promise.resolve(undefined),
      close: () => Promise.resolve(),
    }
    const audit = new Audit({
      instance: 'i',
      run: 'r',
      settingsDigest: 'd',
      after: undefined,
      sinks: [{ name: 'test', sink }],
      whenFull,
      checkpoints: undefined,
      clock: new HandClock(),
      onFault: (_name, reason) => faults.push(reason),
    })
    audit.ask(entryOf())
    expect(audit.isFull()).toBe(false)
    const closing = audit.close()
    expect(audit.isFull()).toBe(true)
    await closing
    audit.ask(entryOf())
    expect(lines.map(({ seq }) => seq)).toEqual([1, 2])
    expect(faults).toEqual(['the audit is closed: of kind ask, and not recorded'])
  },
)

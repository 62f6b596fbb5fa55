import type { CallerTools } from '../../src/callers/method.ts'
import { createDialer } from '../../src/wire/dial.ts'
import { createResolver } from '../../src/wire/resolve.ts'
import { HandClock } from './hand-clock.ts'
import { References } from './references.ts'

/** What caller methods are built with in a test: a real dialer, clocks moved by hand, one secret that can be changed. */
export interface TestCallerTools extends CallerTools {
  readonly references: References
  readonly clock: HandClock
  /** What the operator was told so far. */
  readonly faults: readonly string[]
}

/** `hosts`: these names are at 127.0.0.1. `secret`: the text that every reference to a secret means; `file`: to a file. */
export function makeCallerTools({
  secret = 'a secret of this test',
  file,
  hosts = [],
}: {
  readonly secret?: string
  readonly file?: string
  readonly hosts?: readonly string[]
} = {}): TestCallerTools {
  const faults: string[] = []
  return {
    references: new References(secret, file),
    clock: new HandClock(),
    dialer: createDialer({
      resolver: createResolver({ hosts: Object.fromEntries(hosts.map((host) => [host, ['127.0.0.1']])) }),
    }),
    faults,
    onFault: (message) => faults.push(message),
  }
}

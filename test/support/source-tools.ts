import { Secret } from '../../src/core/secret.ts'
import type { MintEvent, SourceTools } from '../../src/credentials/tools.ts'
import { FileReference } from '../../src/forms/network.ts'
import { SecretReference } from '../../src/secrets/reference.ts'
import { createDialer } from '../../src/wire/dial.ts'
import { createResolver } from '../../src/wire/resolve.ts'
import { HandClock } from './hand-clock.ts'

/** What a source is built with in a test: a real dialer, hand-driven clocks, and one secret that can be rotated. */
export interface TestTools {
  readonly tools: SourceTools
  readonly clock: HandClock
  readonly events: readonly MintEvent[]
  /** The held secret is this text from now on. */
  readonly rotate: (text: string) => void
}

/** A reference for settings that were not read from a file; the tools below answer it with their one secret. */
export const theSecret = new SecretReference({ kind: 'test' })

/** A reference to the authority of the test. */
export const theAuthority = new FileReference('authority.pem')

/** Ranges that let a source dial the servers of the tests. */
export const loopback = ['127.0.0.0/8']

interface Wishes extends Pick<SourceTools, 'logins' | 'name'> {
  readonly secret: string
  readonly ca?: string
}

/** `login.test` is at 127.0.0.1. `secret`: the text held at first; `ca`: PEM of the authority. */
export function makeSourceTools({ secret, ca = '', ...kept }: Wishes): TestTools {
  const clock = new HandClock()
  const events: MintEvent[] = []
  let held = { secret: new Secret(secret), version: 1 }
  const tools: SourceTools = {
    secret: () => ({ current: () => held }),
    file: () => ca,
    clock,
    ...kept,
    dialer: createDialer({ resolver: createResolver({ hosts: { 'login.test': ['127.0.0.1'] } }) }),
    random: () => 0.5,
    onMint: (event) => events.push(event),
  }
  return {
    tools,
    clock,
    events,
    rotate: (text) => {
      held = { secret: new Secret(text), version: held.version + 1 }
    },
  }
}

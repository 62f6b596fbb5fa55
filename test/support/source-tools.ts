import { Secret } from '../../src/core/secret.ts'
import type { MintEvent } from '../../src/credentials/mint.ts'
import type { Neighbour, SourceTools } from '../../src/credentials/tools.ts'
import { FileReference, toBlockList } from '../../src/forms/network.ts'
import { exchange } from '../../src/oauth/exchange.ts'
import { SecretReference } from '../../src/secrets/reference.ts'
import { createDialer } from '../../src/wire/dial.ts'
import { createResolver } from '../../src/wire/resolve.ts'
import { trustOf } from '../../src/wire/trust.ts'
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
  /** The text held at first. */
  readonly secret: string
  /** PEM of the authority. */
  readonly ca?: string
  /** Every other connection is `login.test` on this port, without a credential of its own. */
  readonly neighbourPort?: number
}

/** `login.test` is at 127.0.0.1. */
export function makeSourceTools({ secret, ca = '', neighbourPort, ...kept }: Wishes): TestTools {
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
    neighbour: () => (neighbourPort === undefined ? undefined : bareNeighbour(neighbourPort, tools, ca)),
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

/** As src/neighbour.ts has it, without a credential; that one is tested in test/stories/signers.test.ts. */
function bareNeighbour(port: number, { dialer }: SourceTools, ca: string): Neighbour {
  const route = { dialer, trust: trustOf(ca), allowPrivate: toBlockList(loopback), timeoutMs: 5_000 }
  return {
    host: 'login.test',
    ask: async ({ path, ...errand }) => ({
      answer: await exchange(route, { ...errand, url: new URL(`https://login.test:${port}${path}`) }),
    }),
  }
}

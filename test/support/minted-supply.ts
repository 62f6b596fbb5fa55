import { MintedSupply } from '../../src/credentials/cache.ts'
import type { Credential } from '../../src/credentials/credential.ts'
import type { MintEvent } from '../../src/credentials/mint.ts'
import { HandClock } from './hand-clock.ts'
import { HandMint, passing } from './hand-mint.ts'

/** Ms; how long the tokens of these tests live. */
export const HOUR = 3_600_000

/** A supply whose clock, mint and secret version are moved by hand. Chance always comes out as a half. */
export function setUp() {
  const clock = new HandClock()
  const issuer = new HandMint(clock)
  const events: MintEvent[] = []
  const secret = { version: 1 }
  const supply = new MintedSupply({
    mint: issuer.mint,
    clock,
    random: () => 0.5,
    secretVersion: () => secret.version,
    onMint: (event) => events.push(event),
  })
  return { clock, issuer, supply, events, secret }
}

type Setting = ReturnType<typeof setUp>

/** The same, holding a token of an hour. */
export async function setUpFresh(text = 'first') {
  const setting = setUp()
  const waiting = setting.supply.obtain()
  await setting.issuer.land(text, HOUR)
  return { ...setting, credential: await waiting }
}

/** Asks, and lets the mint that this begins fail. */
export async function failOnce({ supply, issuer }: Setting, error: unknown = passing()) {
  const answer = Promise.resolve(supply.obtain()).catch((problem: unknown) => problem)
  await issuer.crash(error)
  return answer
}

/** The text of a credential that is there without waiting. */
export function textOf(credential: Credential | Promise<Credential> | undefined): string {
  if (credential === undefined || credential instanceof Promise) return 'no credential at once'
  return credential.secret.reveal()
}

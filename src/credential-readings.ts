import type { Clock } from './core/clock.ts'
import type { SupplyState } from './credentials/credential.ts'
import type { Connection } from './gate/snapshot.ts'
import type { HouseReadings } from './telemetry/metrics.ts'

type TokenReadings = Pick<
  HouseReadings,
  | 'sallyport_credentials'
  | 'sallyport_credential_minted_timestamp_seconds'
  | 'sallyport_credential_expiry_timestamp_seconds'
  | 'sallyport_credential_stale_expiry_timestamp_seconds'
  | 'sallyport_mint_pause_seconds'
>

/** How it stands with the credentials of these connections; where each caller has its own, the worst of them. */
export function readTokens(all: () => readonly Connection[], clock: Pick<Clock, 'now'>): TokenReadings {
  const perConnection = (read: (states: readonly SupplyState[]) => number | undefined) =>
    all().flatMap(({ name: connection, supply }) => {
      const value = read(supply.states?.() ?? [supply.state()])
      return value === undefined ? [] : [[{ connection }, value] as const]
    })
  return {
    sallyport_credentials: () =>
      all().flatMap(({ name: connection, supply }) => {
        const states = supply.states?.() ?? [supply.state()]
        const counts = Map.groupBy(states, ({ phase }) => phase)
        return [...counts].map(([phase, { length }]) => [{ connection, phase }, length] as const)
      }),
    sallyport_credential_minted_timestamp_seconds: () =>
      perConnection((states) => earliest(states.map(({ mintedAt }) => mintedAt))),
    sallyport_credential_expiry_timestamp_seconds: () =>
      perConnection((states) => earliest(states.map(({ expiresAt }) => expiresAt))),
    sallyport_credential_stale_expiry_timestamp_seconds: () =>
      perConnection((states) => earliest(states.filter(isStale).map(({ expiresAt }) => expiresAt))),
    sallyport_mint_pause_seconds: () =>
      perConnection((states) => {
        const minted = states.filter(({ phase }) => phase !== 'none' && phase !== 'held')
        if (minted.length === 0) return undefined
        return minted.reduce((most, { nextAttemptAt = 0 }) => Math.max(most, nextAttemptAt - clock.now()), 0) / 1000
      }),
  }
}

/** The last refresh has failed, also while the next one is being tried. */
function isStale({ lastError, expiresAt }: SupplyState): boolean {
  return lastError !== undefined && expiresAt !== undefined
}

/** In Unix seconds. */
function earliest(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined)
  return known.length === 0 ? undefined : known.reduce((first, time) => Math.min(first, time)) / 1000
}

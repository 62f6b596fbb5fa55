import { Secret } from '../../core/secret.ts'

/** What is kept of a login. */
export interface LoginContent {
  readonly refreshToken: Secret
  /** The token that came with it: other processes use it too, and so does this one after a restart. */
  readonly access?: KeptAccess | undefined
  /** The issuer has answered a refresh and left this refresh token in use: showing it again costs nothing. */
  readonly isSteady: boolean
  /** Who gave it, and to which client; absent: whoever the settings name now. */
  readonly of?: string | undefined
}

/** `sentAt`: ms since the epoch. */
export interface KeptAccess {
  readonly secret: Secret
  readonly sentAt: number
  readonly lifetimeMs: number
}

/** As the one text that is sealed. */
export function packed({ refreshToken, access, isSteady, of }: LoginContent): Secret {
  const { secret, sentAt, lifetimeMs } = access ?? {}
  return new Secret(
    JSON.stringify({
      refresh: refreshToken.reveal(),
      steady: isSteady,
      access: secret?.reveal(),
      sentAt,
      lifetimeMs,
      of,
    }),
  )
}

/** The other way: what was sealed is what `packed` has made. */
export function unpacked(text: Secret): LoginContent {
  const { refresh, steady, access, sentAt, lifetimeMs, of }: Packed = JSON.parse(text.reveal())
  const isWhole = access !== undefined && sentAt !== undefined && lifetimeMs !== undefined
  return {
    refreshToken: new Secret(refresh),
    isSteady: steady,
    of,
    access: isWhole ? { secret: new Secret(access), sentAt, lifetimeMs } : undefined,
  }
}

interface Packed {
  readonly refresh: string
  readonly steady: boolean
  readonly access?: string
  readonly sentAt?: number
  readonly lifetimeMs?: number
  readonly of?: string
}

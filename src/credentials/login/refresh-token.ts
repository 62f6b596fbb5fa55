import type { LoginPlace } from '../../core/login.ts'
import { Problem } from '../../core/problem.ts'
import { z } from '../../forms/zod.ts'
import { TokenEndpoint } from '../../oauth/endpoint.ts'
import { endpointFields, faultsOfEndpoint } from '../../oauth/endpoint-settings.ts'
import { nameOfSecret } from '../../secrets/reference.ts'
import { secretReference } from '../../secrets/registry.ts'
import { MintedSupply } from '../cache.ts'
import { ForgetfulSupply } from '../forgetful.ts'
import { lifetimeFields } from '../token-lifetime.ts'
import { mintageOf, type SourceKind } from '../tools.ts'
import { packed } from './content.ts'
import type { Logins } from './logins.ts'
import { ofStore, Refresher } from './refresher.ts'

const schema = z
  .strictObject({
    kind: z.literal('refresh-token'),
    refreshToken: secretReference.meta({
      description:
        'the first refresh token, by reference; what the authorization server puts in its place is kept in the store, and another one here starts anew from that',
    }),
    ...endpointFields,
    ...lifetimeFields,
  })
  .superRefine((settings, context) => {
    for (const { path, message } of faultsOfEndpoint(settings, ['refresh_token']))
      context.addIssue({ code: 'custom', path, message })
  })
  .meta({
    description:
      'tokens by a refresh token that somebody has obtained elsewhere (RFC 6749 section 6); where it is rotated, the store keeps the newest: needs `store` with a `key`',
  })

/** How old a beginning has to be before another one clears it away: by then every instance has the other reference. */
const FORGOTTEN_MS = 86_400_000

/** Tokens that a refresh token is good for. @see RFC 6749 section 6, RFC 9700 section 4.14 */
export const refreshToken: SourceKind<typeof schema> = {
  schema,
  keepsTokens: true,
  build(settings, tools) {
    const { name: connection = '', logins, clock } = tools
    const endpoint = new TokenEndpoint(settings, tools)
    const held = tools.secret(settings.refreshToken)
    const gone = (reason: string) => new Problem('credential-failed', { reason: `${reason}: ${remedy}` })
    const remedy = `write a new refresh token to ${nameOfSecret(settings.refreshToken)}`
    let refresher: { readonly of: string; readonly it: Refresher } | undefined
    async function refresherNow(): Promise<Refresher> {
      if (!logins) throw new Problem('credential-failed', { reason: NO_STORE })
      const { secret } = held.current()
      const place = { connection, identity: `reference:${secret.digest().toString('hex').slice(0, 16)}` }
      if (refresher?.of === place.identity) return refresher.it
      await begin(place, logins, clock.now())
      await ofStore(
        logins.put(place, packed({ refreshToken: secret, isSteady: false }), { by: 'settings', ifAbsent: true }),
      )
      const it = new Refresher({ place, logins, endpoint, settings, clock, gone })
      refresher = { of: place.identity, it }
      return it
    }
    const supply = new MintedSupply({
      mint: async () => (await refresherNow()).mint(),
      secretVersion: () => endpoint.secretVersion() + held.current().version,
      ...mintageOf(tools),
    })
    return new ForgetfulSupply(supply, { mark: () => String(held.current().version) })
  },
}

/** Clears away what was begun from other references long ago; what a slower instance may still have in use stays. */
async function begin({ connection, identity }: LoginPlace, logins: Logins, now: number): Promise<void> {
  for (const old of logins.of(connection)) {
    const isOld = old.identity !== identity && now - old.createdAt > FORGOTTEN_MS
    if (isOld && old.identity.startsWith('reference:')) await ofStore(logins.remove(old))
  }
}

const NO_STORE = 'there is no store open here to keep refresh tokens in'

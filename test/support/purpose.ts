import type { Purpose } from '../../src/core/purpose.ts'
import { Secret } from '../../src/core/secret.ts'
import { forgeToken } from './tokens.ts'

interface Wishes {
  readonly caller?: string
  /** Of the caller's token, which nobody has signed: whoever identifies callers would have judged it. */
  readonly claims?: Readonly<Record<string, unknown>>
  /** The token of the caller, in place of one made of its claims. */
  readonly token?: string
  readonly fields?: readonly string[]
}

/** An ask of somebody who has shown a token. */
export function purposeWith({ caller = 'job', claims = {}, token, fields = [] }: Wishes = {}): Purpose {
  const secret = new Secret(token ?? tokenWith(claims))
  const proven = { secret, claims: new Map(Object.entries(claims)) }
  return { caller: { name: caller, method: 'jwt', token: proven }, method: 'GET', path: '/v1', fields }
}

/** An ask of somebody who has shown a key. */
export function purposeWithout(caller = 'checkout', fields: readonly string[] = []): Purpose {
  return { caller: { name: caller, method: 'api-key' }, method: 'GET', path: '/v1', fields }
}

/** A token of these claims, by the looks of it. */
export function tokenWith(claims: object): string {
  return forgeToken({ alg: 'ES256' }, claims, 'c2ln')
}

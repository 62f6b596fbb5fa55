import type { ClientAuth } from 'oauth4webapi'
import type { Secret } from '../../core/secret.ts'
import { longLivedOf } from '../../secrets/reference.ts'
import type { ClientAuthTools, ClientProof } from './client-auth.ts'

/** A client that shows its secret, as it stands at each request. `show` puts it into the request. */
export function bySecret({ clientSecret }: ClientAuthTools, show: (secret: Secret) => ClientAuth): ClientProof {
  if (!clientSecret) throw new Error('no clientSecret: the schema let it through')
  const { reference, held } = clientSecret
  return {
    presentations() {
      const behind = longLivedOf(reference, held)
      return [{ authenticate: show(behind.secret), behind }]
    },
    version: () => held.current().version,
  }
}

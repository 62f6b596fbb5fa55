import { textReference } from '../../forms/network.ts'
import { z } from '../../forms/zod.ts'
import { longLivedOf } from '../../secrets/reference.ts'
import { secretReference } from '../../secrets/registry.ts'
import { faultOfClientCertificates, LiveIdentity } from '../../wire/client-identity.ts'
import { type ClientAuthKind, identityOf } from './client-auth.ts'

const schema = z
  .strictObject({
    kind: z.literal('mtls'),
    certificate: textReference(faultOfClientCertificates).meta({ title: 'file reference' }).meta({
      description: 'PEM file of the certificate, then of those that lead up to an authority; read anew when it changes',
    }),
    key: secretReference.meta({
      description:
        'the private key of the certificate, by reference; certificate and key are changed one after the other',
    }),
  })
  .meta({
    description:
      'a certificate on the connection to the token endpoint, whether an authority vouches for it or the server knows it (RFC 8705); a token that is bound to it is good where the connection shows the same one, by its `tls`',
  })

/** @see RFC 8705 section 2 */
export const mtls: ClientAuthKind<typeof schema> = {
  schema,
  showsSecret: false,
  build({ certificate, key }, { secret, file }) {
    const held = secret(key)
    const pair = new LiveIdentity({ certificate: () => file(certificate), key: held })
    return {
      presentations() {
        const behind = { ...longLivedOf(key, held), secret: identityOf(pair).key }
        return [{ authenticate: (_server, { client_id: id }, to) => to.set('client_id', id), behind }]
      },
      version: () => pair.version(),
      identity: () => identityOf(pair),
    }
  },
}

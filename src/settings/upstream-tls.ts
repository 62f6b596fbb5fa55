import { textReference, trustFields } from '../forms/network.ts'
import { z } from '../forms/zod.ts'
import { secretReference } from '../secrets/registry.ts'
import { faultOfClientCertificates } from '../wire/client-identity.ts'

/** TLS towards an upstream: whom to trust, and what to show of ourselves. */
export const upstreamTls = z
  .strictObject({
    ...trustFields,
    certificate: textReference(faultOfClientCertificates).meta({ title: 'file reference' }).optional().meta({
      description:
        'PEM file of the certificate to show to the upstream, then of those that lead up to an authority; read anew when it changes',
    }),
    key: secretReference.optional().meta({ description: 'the private key of that certificate, by reference' }),
  })
  .superRefine(({ certificate, key }, context) => {
    if ((certificate === undefined) === (key === undefined)) return
    const missing = key === undefined ? 'key' : 'certificate'
    context.addIssue({ code: 'custom', path: [missing], message: 'missing: certificate and key go together' })
  })
  .prefault({})

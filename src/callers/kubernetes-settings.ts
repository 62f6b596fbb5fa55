import { faultOfIssuerUrl } from '../forms/issuer-url.ts'
import { z } from '../forms/zod.ts'
import { secretReference } from '../secrets/registry.ts'
import { faultOfTemplate } from './claims-template.ts'
import { faultsOfPlaces, tokenShape } from './token-settings.ts'

/** What names of namespaces and service accounts may be. @see https://kubernetes.io/docs/concepts/overview/working-with-objects/names */
export const NAMESPACE = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
export const SERVICE_ACCOUNT = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/

const namespace = z.string().regex(NAMESPACE, 'use the name of a namespace, as in "shop"')
const account = z.string().refine((text) => {
  const [first = '', second = '', ...rest] = text.split('/')
  return NAMESPACE.test(first) && SERVICE_ACCOUNT.test(second) && rest.length === 0
}, 'use NAMESPACE/SERVICE-ACCOUNT, as in "shop/checkout"')

const template = z.string().superRefine((text, context) => {
  const named = [...text.matchAll(/\{([^{}]*)\}/g)].map(([, name]) => name)
  const isWhole = named.length === 2 && named[0] === 'namespace' && named[1] === 'serviceAccount'
  const fault = isWhole
    ? faultOfTemplate(text)
    : 'use {namespace} and then {serviceAccount}, as in "prod/{namespace}/{serviceAccount}"'
  if (fault) context.addIssue({ code: 'custom', message: fault })
})

const shape = z.strictObject({
  kind: z.literal('kubernetes'),
  issuer: z.string().min(1).optional().meta({
    description:
      'issuer of the cluster, exactly as `iss` spells it: tokens are verified by its keys, here; use this, `apiServer` or both',
  }),
  apiServer: z.string().optional().meta({
    description:
      'URL of the API server, which is asked about each token (TokenReview): it alone knows of deleted pods and accounts. By its whole name, as in `https://kubernetes.default.svc.cluster.local`. With `issuer` beside it both have to agree',
  }),
  token: secretReference.optional().meta({
    description:
      'own service-account token of Sallyport, for the API server and for the keys of the cluster, where the settings name their place; read again when it changes. For reviews its account has to be allowed to `create` `tokenreviews`, as `system:auth-delegator` is',
  }),
  reviewCacheMs: z.int().min(1_000).max(60_000).default(10_000).meta({
    description: 'ms for which the answer of the API server about a token is believed',
  }),
  ...tokenShape,
  name: template.default('{namespace}/{serviceAccount}').meta({
    description:
      'makes the name of the caller; a second cluster needs another, as in `prod/{namespace}/{serviceAccount}`',
  }),
  namespaces: z.array(namespace).min(1).optional().meta({
    description: 'namespaces whose service accounts may ask; absent: all of the cluster',
  }),
  serviceAccounts: z.array(account).min(1).optional().meta({
    description: 'service accounts that may ask, as `NAMESPACE/NAME`; absent: all of those namespaces',
  }),
})

/** What the settings of a kubernetes caller say. */
export type KubernetesSettings = z.infer<typeof shape>

/** The schema of a kubernetes caller. */
export const kubernetesSettings = shape
  .superRefine((settings, context) => {
    for (const { path, message } of faultsOf(settings)) context.addIssue({ code: 'custom', path, message })
  })
  .meta({
    description:
      'pods, by the service-account tokens that their cluster projects into them and rotates; groups as Kubernetes has them: `system:serviceaccounts` and `system:serviceaccounts:NAMESPACE`',
  })

interface Fault {
  readonly path: string[]
  readonly message: string
}

function faultsOf(settings: KubernetesSettings): Fault[] {
  const { issuer, apiServer, token, jwks, unsafeAllowPlaintextIssuer: plaintext } = settings
  if (issuer === undefined && apiServer === undefined)
    return [{ path: [], message: 'use issuer, to verify tokens here, or apiServer, to ask the cluster; or both' }]
  if (jwks && issuer === undefined) return [{ path: ['jwks'], message: 'add the issuer whose keys these are' }]
  if (apiServer === undefined) return faultsOfPlaces(settings)
  if (!token)
    return [{ path: ['token'], message: 'add { file: PATH } of an own token: nobody else may ask for reviews' }]
  const message = faultOfIssuerUrl(apiServer, { plaintext })
  return [...(message === undefined ? [] : [{ path: ['apiServer'], message }]), ...faultsOfPlaces(settings)]
}

import { faultOfIssuerUrl } from '../../forms/issuer-url.ts'
import { allowPrivate, tlsTrust } from '../../forms/network.ts'
import { z } from '../../forms/zod.ts'
import { secretReference } from '../../secrets/registry.ts'
import { lifetimeFields } from '../token-lifetime.ts'

const name = z.string().regex(/^(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}$/, 'use a name as in the URL, without the owner')
const id = z.union([z.int().min(1), z.string().regex(/^[A-Za-z0-9._-]{1,64}$/)], {
  error: 'use the app id, or the client id',
})

/** The settings of an installation of a GitHub App. */
export const githubAppSchema = z
  .strictObject({
    kind: z.literal('github-app'),
    appId: id.transform(String).meta({ description: 'the id of the app, or its client id, which GitHub recommends' }),
    key: secretReference.meta({
      description: 'the private key of the app, by reference: the PEM file as GitHub gives it out',
    }),
    installationId: z
      .int()
      .min(1)
      .meta({ description: 'the number at the end of the URL of the installation’s settings' }),
    repositories: z
      .array(name)
      .min(1)
      .max(500)
      .optional()
      .meta({ description: 'names of repositories that a token reaches; without it all of the installation' }),
    permissions: z
      .record(z.string().regex(/^[a-z_]+$/, 'use a name such as "contents"'), z.enum(['read', 'write', 'admin']))
      .optional()
      .meta({
        description: 'permissions that a token has, as in `{ contents: read }`; without it all of the installation',
      }),
    perRepository: z.boolean().default(false).meta({
      description:
        'each request gets a token for the one repository that its path names, by the REST API or by git; what names none, or one that is not of `owner` and among `repositories`, gets none',
    }),
    owner: name
      .optional()
      .meta({ description: 'whose repositories they are; needed, and of use, with `perRepository` alone' }),
    apiUrl: z.string().default('https://api.github.com').meta({
      description: 'the REST API; of GitHub Enterprise Server `https://HOST/api/v3`',
    }),
    timeoutMs: z.int().min(100).max(60_000).default(10_000).meta({ description: 'ms for one mint as a whole' }),
    tls: tlsTrust.meta({ description: 'whom to trust about the name of the API' }),
    allowPrivate,
    ...lifetimeFields,
  })
  .superRefine(({ apiUrl, perRepository, owner }, context) => {
    const fault = faultOfIssuerUrl(apiUrl, { plaintext: 'never' })
    const message =
      fault ?? (/\?|[^/]\/$/.test(apiUrl) ? 'use a URL without a query and without a final slash' : undefined)
    if (message !== undefined) context.addIssue({ code: 'custom', path: ['apiUrl'], message })
    if (perRepository === (owner === undefined))
      context.addIssue({
        code: 'custom',
        path: ['owner'],
        message: perRepository
          ? 'add it: a path names repositories of anybody'
          : 'leave it out, or add perRepository: true',
      })
  })
  .meta({
    description:
      'installation tokens of a GitHub App, for an hour each and with no more than is asked for; minted with the private key of the app',
  })

export type GithubAppSettings = z.infer<typeof githubAppSchema>

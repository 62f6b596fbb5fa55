import { join } from 'node:path'
import { FileReference, textReference } from '../forms/network.ts'
import { z } from '../forms/zod.ts'
import { compileSanTemplate, faultOfSanTemplate, type SanTemplate, type TemplateFields } from './san-template.ts'
import { faultOfBundle } from './spiffe-bundle.ts'
import { isTrustDomain, parseSpiffeId } from './spiffe-id.ts'

/** `path` without its first "/". It comes last: then the first "/" behind a trust domain ends that. */
const FIELDS: TemplateFields = { trustDomain: /[a-z0-9._-]+/, path: /[A-Za-z0-9._-]+(?:\/[A-Za-z0-9._-]+)*/ }

const trustDomain = z.string().refine(isTrustDomain, 'use the name of a trust domain, as in "prod.example.org"')

const folder = z
  .strictObject({
    path: z.string().min(1).meta({ description: 'the folder, as `SPIFFE_CREDENTIAL_FOLDER` names it' }),
    trustDomains: z
      .array(trustDomain)
      .min(1)
      .meta({ description: 'the trust domains whose bundles in it are believed' }),
  })
  .transform(({ path, trustDomains }) =>
    Object.fromEntries(
      trustDomains.map((name) => {
        const file = join(path, `${name}.spiffe-trust-bundle.pem`)
        // A bundle that is taken out of the folder ends the federation. @see SPIFFE Filesystem Delivery section 3.3
        return [name, new FileReference(file, faultOfBundle, 'taken back')]
      }),
    ),
  )

/** Settings of callers known by SVIDs. */
export const schema = z
  .strictObject({
    kind: z.literal('spiffe'),
    ids: z
      .array(
        z
          .string()
          .refine(
            (id) => parseSpiffeId(id) !== undefined,
            'use a SPIFFE ID such as "spiffe://prod.example.org/billing"',
          ),
      )
      .min(1)
      .optional()
      .meta({ description: 'the SPIFFE IDs that are this caller, compared whole; use this or `name`' }),
    name: z
      .string()
      .superRefine((template, context) => {
        const fault = faultOfName(template)
        if (fault !== undefined) context.addIssue({ code: 'custom', message: fault })
      })
      .optional()
      .meta({
        description:
          'makes a caller of each SPIFFE ID of these trust domains, as in `{trustDomain}/{path}`; grants name the result; use this or `ids`',
      }),
    bundles: z
      .record(trustDomain, textReference(faultOfBundle).meta({ title: 'file reference' }))
      .optional()
      .meta({
        description:
          'the trust bundle of each trust domain: a JWK Set of SPIFFE, or PEM, which knows X.509-SVIDs alone; read again when it changes',
      }),
    folder: folder.optional().meta({
      description:
        'a folder of SPIFFE Filesystem Delivery, instead of `bundles` or beside them: `NAME.spiffe-trust-bundle.pem` of each trust domain',
    }),
    audience: z.string().min(1).optional().meta({
      description: 'our own name in JWT-SVIDs, which have to carry it; without it X.509-SVIDs alone are taken',
    }),
  })
  .refine((one) => (one.ids === undefined) !== (one.name === undefined), 'use exactly one of ids and name')
  .refine((one) => Object.keys(bundlesOf(one)).length > 0, 'name the trust bundles, by bundles or folder')
  .meta({
    description:
      'a workload of a SPIFFE trust domain: an X.509-SVID at a door with `tls`, or a JWT-SVID in the place of a key',
  })

export type SpiffeSettings = z.infer<typeof schema>

interface Bundles {
  readonly bundles?: Readonly<Record<string, FileReference>> | undefined
  readonly folder?: Readonly<Record<string, FileReference>> | undefined
}

/** The files of the bundles, by trust domain. */
export function bundlesOf({ bundles, folder: delivered }: Bundles): Readonly<Record<string, FileReference>> {
  return { ...delivered, ...bundles }
}

/** The template of settings that have one. */
export function templateOf({ name }: Pick<SpiffeSettings, 'name'>): SanTemplate | undefined {
  return name === undefined ? undefined : compileSanTemplate(name, FIELDS)
}

/** Whether an ID of one of the trust domains could make this name. */
export function mayMake(name: string, settings: SpiffeSettings): boolean {
  const { name: template } = settings
  if (template === undefined) return false
  return Object.keys(bundlesOf(settings)).some((domain) =>
    compileSanTemplate(template.replaceAll('{trustDomain}', domain), FIELDS).mayMake(name),
  )
}

function faultOfName(template: string): string | undefined {
  const fault = faultOfSanTemplate(template, FIELDS)
  if (fault !== undefined) return fault
  const { fields } = compileSanTemplate(template, FIELDS)
  return fields.at(-1) === 'path' && fields.indexOf('path') === fields.length - 1
    ? undefined
    : 'use {path} once, as the last of the two, as in "{trustDomain}/{path}"'
}

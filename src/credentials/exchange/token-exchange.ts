import { z } from '../../forms/zod.ts'
import { TokenEndpoint } from '../../oauth/endpoint.ts'
import { endpointFields, faultsOfEndpoint } from '../../oauth/endpoint-settings.ts'
import { MintedSupply } from '../cache.ts'
import { faultsOfOptionalClient, optionalClientFields } from '../optional-client.ts'
import { lifetimeFields } from '../token-lifetime.ts'
import { mintageOf, type SourceKind } from '../tools.ts'
import { VaryingSupply } from '../varying.ts'
import { Exchange } from './exchange.ts'
import { principalSettings, principalsOf } from './principal.ts'
import { subjectsOf } from './subject.ts'
import { needsOfSubject, subjectSettings, tokenType, uriOfType, usualTypeOf } from './subject-settings.ts'

/** Parameters that have settings of their own, or come out of them. */
const OWN = [
  'subject_token',
  'subject_token_type',
  'actor_token',
  'actor_token_type',
  'audience',
  'resource',
  'requested_token_type',
]

const places = z.union([z.string().min(1), z.array(z.string().min(1)).min(1)])

const schema = z
  .strictObject({
    kind: z.literal('token-exchange'),
    ...endpointFields,
    ...optionalClientFields,
    clientIdFrom: principalSettings.optional().meta({
      description: 'in place of `clientId`: a claim of the caller’s own token chooses; who has none of them is refused',
    }),
    subject: subjectSettings.meta({ description: 'the token that is exchanged' }),
    subjectTokenType: tokenType.optional().meta({
      description:
        'what it is: a short name (`jwt`, `access_token`, `id_token`) or a URI; without it `jwt` from caller or file, else `access_token`',
    }),
    actor: subjectSettings.optional().meta({
      description: 'a second token: of the one who acts for the subject (delegation); without it, impersonation',
    }),
    actorTokenType: tokenType.optional().meta({ description: 'what that one is, by the same rule' }),
    audience: places.optional().meta({ description: 'by name: for whom the new token is to be; one or a list' }),
    resource: z
      .union([z.string(), z.array(z.string()).min(1)])
      .refine((uris) => [uris].flat().every(isResource), 'use absolute URIs without a fragment (RFC 8707)')
      .optional()
      .meta({ description: 'by URI: where the new token is to be used; one or a list' }),
    requestedTokenType: tokenType
      .refine((type) => uriOfType(type) !== uriOfType('refresh_token'), 'use a type that can be injected')
      .optional()
      .meta({
        description:
          'what to ask for. An answer of another type is refused, and so is a token that is no access token (`N_A`) unless its type was asked for here',
      }),
    issuedTokenType: z.enum(['required', 'optional']).default('required').meta({
      description:
        'whether an answer has to say what was issued, as RFC 8693 demands; `optional` for servers that do not: then it is taken for what was asked for',
    }),
    ...lifetimeFields,
  })
  .superRefine((settings, context) => {
    for (const { path, message } of [...faultsOfEndpoint(settings, OWN), ...faultsOfClient(settings)])
      context.addIssue({ code: 'custom', path, message })
  })
  .meta({
    description:
      'a token that is exchanged for another one (RFC 8693): on behalf of the caller, of the workload, or of what another connection gives. The token itself is never sent to the upstream in its place',
  })

type ExchangeSettings = z.infer<typeof schema>

function isResource(uri: string): boolean {
  return URL.canParse(uri) && !uri.includes('#')
}

function faultsOfClient({ clientId, clientIdFrom, clientAuth, actor, actorTokenType }: Omit<ExchangeSettings, 'kind'>) {
  const faults = clientIdFrom ? [] : faultsOfOptionalClient({ clientId, clientAuth })
  if (clientIdFrom && clientId !== '')
    faults.push({ path: ['clientId'], message: 'leave it out: clientIdFrom chooses one' })
  if (clientIdFrom && clientAuth.kind !== 'none')
    faults.push({ path: ['clientAuth'], message: 'use none: what is proved would be the same whoever is chosen' })
  if (actorTokenType !== undefined && !actor)
    faults.push({ path: ['actorTokenType'], message: 'leave it out: there is no actor' })
  return faults
}

/** One token for another. @see RFC 8693 */
export const tokenExchange: SourceKind<typeof schema> = {
  schema,
  needs({ subject, actor, clientIdFrom }) {
    const [one, other] = [needsOfSubject('subject', subject), needsOfSubject('actor', actor)]
    return {
      claim: clientIdFrom && { path: ['clientIdFrom'], issuer: clientIdFrom.issuer },
      callersToken: clientIdFrom !== undefined || one.callersToken === true || other.callersToken === true,
      connections: [...(one.connections ?? []), ...(other.connections ?? [])],
      callers: [...(one.callers ?? []), ...(other.callers ?? [])],
    }
  },
  build(settings, tools) {
    const { subject, actor, clientIdFrom } = settings
    const endpoint = new TokenEndpoint(settings, tools)
    const subjects = subjectsOf(subject, tools)
    const actors = actor && subjectsOf(actor, tools)
    const principals = clientIdFrom && principalsOf(clientIdFrom)
    const exchange = new Exchange({ endpoint, subjects, actors, principals, terms: termsOf(settings) })
    const make = () =>
      new MintedSupply({
        mint: (purpose) => exchange.mint(purpose),
        secretVersion: () => endpoint.secretVersion() + subjects.version() + (actors?.version() ?? 0),
        ...mintageOf(tools),
      })
    return new VaryingSupply(
      [subjects, actors, principals].filter((part) => part !== undefined),
      make,
    )
  },
}

function termsOf(settings: ExchangeSettings) {
  const {
    subject,
    subjectTokenType,
    actor,
    actorTokenType,
    audience = [],
    resource = [],
    requestedTokenType,
  } = settings
  const several = (name: string, values: string | readonly string[]) =>
    [values].flat().map((value) => [name, value] as const)
  const requested = requestedTokenType === undefined ? undefined : uriOfType(requestedTokenType)
  return {
    clientId: settings.clientId,
    subjectType: uriOfType(subjectTokenType ?? usualTypeOf(subject)),
    actorType: actor && uriOfType(actorTokenType ?? usualTypeOf(actor)),
    requested,
    mayBeUntyped: settings.issuedTokenType === 'optional',
    parameters: [
      ...several('audience', audience),
      ...several('resource', resource),
      ...several('requested_token_type', requested ?? []),
    ],
    limits: settings,
  }
}

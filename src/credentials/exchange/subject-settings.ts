import { z } from '../../forms/zod.ts'
import { secretReference } from '../../secrets/registry.ts'
import type { SourceNeeds } from '../tools.ts'

const caller = z
  .strictObject({ from: z.literal('caller') })
  .meta({ description: 'the token that the caller has proved itself with: on behalf of it' })

const file = z
  .strictObject({
    from: z.literal('file'),
    token: secretReference.meta({ description: 'a token that somebody else renews, read anew at each exchange' }),
  })
  .meta({ description: 'a projected token of the workload itself' })

const header = z
  .strictObject({
    from: z.literal('header'),
    header: z
      .string()
      .regex(/^x-forwarded-[a-z0-9-]+$/, 'use a name such as "x-forwarded-access-token": those never travel on')
      .meta({ description: 'field of the request that has the token' }),
    trustedCallers: z
      .array(z.string().min(1))
      .min(1)
      .meta({ description: 'callers that may say so; from everybody else the field means nothing, and is refused' }),
  })
  .meta({ description: 'a token that a proxy before us has put into the request' })

const connection = z
  .strictObject({
    from: z.literal('connection'),
    connection: z.string().min(1).meta({ description: 'name of the connection' }),
  })
  .meta({ description: 'the credential of another connection' })

/** Where a token to be exchanged comes from. */
export const subjectSettings = z
  .discriminatedUnion('from', [caller, file, header, connection], {
    error: () => 'use { from: caller }, or from: file, header or connection with what it needs',
  })
  .meta({ id: 'Subject', description: 'where a token to be exchanged comes from' })

export type SubjectSettings = z.infer<typeof subjectSettings>

/** What such a token needs of the rest of the settings; `key`: where it stands in those of its source. */
export function needsOfSubject(key: string, settings: SubjectSettings | undefined): SourceNeeds {
  switch (settings?.from) {
    case 'caller':
      return { callersToken: true }
    case 'header':
      return { callers: settings.trustedCallers.map((name, at) => ({ path: [key, 'trustedCallers', at], name })) }
    case 'connection':
      return { connections: [{ path: [key, 'connection'], name: settings.connection }] }
    default:
      return {}
  }
}

const STANDARD = ['access_token', 'refresh_token', 'id_token', 'jwt', 'saml1', 'saml2', 'id-jag'] as const

/** A type of token, by its short name or as a URI. @see RFC 8693 section 3 */
export const tokenType = z
  .string()
  .regex(
    new RegExp(`^(?:${STANDARD.join('|')}|[A-Za-z][A-Za-z0-9+.-]*:[!-~]+)$`),
    `use one of ${STANDARD.join(', ')}, or a URI`,
  )

/** The URI of a type. */
export function uriOfType(type: string): string {
  return type.includes(':') ? type : `urn:ietf:params:oauth:token-type:${type}`
}

/** What a token of this place is called where nobody says otherwise. */
export function usualTypeOf({ from }: SubjectSettings): string {
  return from === 'caller' || from === 'file' ? 'jwt' : 'access_token'
}

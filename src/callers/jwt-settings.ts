import { z } from '../forms/zod.ts'
import { claimRules } from './claims.ts'
import { groupRules } from './claims-groups.ts'
import { faultOfTemplate } from './claims-template.ts'
import { scopeRules } from './token-scopes.ts'
import { faultsOfPlaces, tokenShape } from './token-settings.ts'

const template = z.string().superRefine((text, context) => {
  const fault = faultOfTemplate(text)
  if (fault) context.addIssue({ code: 'custom', message: fault })
})

const shape = z.strictObject({
  kind: z.literal('jwt'),
  issuer: z.string().min(1).meta({ description: 'issuer of the tokens, exactly as `iss` spells it' }),
  ...tokenShape,
  claims: claimRules.meta({
    description:
      'what a token has to say, by claim: a value, or a list of which one fits; in a text `*` is one character or more. All have to fit; of a claim that is a list, one member. Needed where there is no `name`',
  }),
  name: template.optional().meta({
    description:
      'makes the name of the caller from claims, as in `gh/{repository}`: letters, digits and `._@/-`; a token that would make another name is refused. Without it the name is the one it has here',
  }),
  groups: groupRules.optional().meta({ description: 'where a token says to which groups its caller belongs' }),
  scopes: scopeRules.optional().meta({
    description:
      'what the scopes of a token let it ask for, whatever is granted: `scope` or `scp` of the token, by name. Without it scopes mean nothing; with it, a token with none of these may do nothing',
  }),
})

/** What the settings of a jwt caller say. */
export type JwtSettings = z.infer<typeof shape>

/** The schema of a jwt caller. */
export const jwtSettings = shape
  .superRefine((settings, context) => {
    for (const { path, message } of faultsOfPlaces(settings)) context.addIssue({ code: 'custom', path, message })
    if (Object.keys(settings.claims).length > 0 || settings.name !== undefined) return
    const message = 'say which tokens are this caller, as in { sub: job-7 }; { sub: "*" } is whoever the issuer knows'
    context.addIssue({ code: 'custom', path: ['claims'], message })
  })
  .meta({
    description:
      'a token of an OpenID or OAuth issuer, verified by its keys: a workload identity that rotates by itself, where the app can be given a new one',
  })

import type { Clock } from '../core/clock.ts'
import { compileClaims } from './claims.ts'
import { groupsIn } from './claims-groups.ts'
import { compileTemplate, type NameTemplate } from './claims-template.ts'
import type { KeySource } from './jwks-source.ts'
import { type JwtSettings, jwtSettings } from './jwt-settings.ts'
import type { CallerKind, Named, Proved } from './method.ts'
import type { Members, Token } from './token.ts'
import { faultOfHeader, faultOfUse, type Terms } from './token-checks.ts'
import { detailsOf } from './token-details.ts'
import { type Judgement, rejected, TokenMethod } from './token-method.ts'
import { judgeSignature, spanOf, stillHolds } from './token-proof.ts'
import { type CeilingOf, compileScopes, scopesIn } from './token-scopes.ts'
import { KeySources, keyServers, termsOf } from './token-settings.ts'

/** A caller that shows a token of an issuer. @see RFC 8725, RFC 9068 */
export const jwt: CallerKind<typeof jwtSettings> = {
  schema: jwtSettings,
  proofIs: 'shown',
  readsTokens: true,
  dials: keyServers,
  nameMaker: ({ name, issuer }) => (name === undefined ? undefined : issuer),
  mayName: (name, { name: template }) => template !== undefined && compileTemplate(template).mayMake(name),
  build(callers, tools) {
    const { clock } = tools
    const sources = new KeySources(tools)
    const byIssuer = Map.groupBy(
      callers.map((caller) => subjectOf(caller, sources)),
      ({ issuer }) => issuer,
    )
    return new TokenMethod({
      kind: 'jwt',
      clock,
      judge(token) {
        const issuer = token.claims.get('iss')
        const subjects = typeof issuer === 'string' ? byIssuer.get(issuer) : undefined
        if (!subjects) return undefined
        const found = provedBy(token, subjects, clock)
        return typeof found === 'string' ? rejected(found) : () => verify(token, found, clock)
      },
    })
  },
}

/** One caller, compiled. */
interface Subject {
  readonly caller: string
  readonly issuer: string
  readonly terms: Terms
  readonly source: KeySource
  readonly misfit: (claims: Members) => string | undefined
  readonly template: NameTemplate | undefined
  readonly groups: JwtSettings['groups']
  readonly ceilingOf: CeilingOf | undefined
}

function subjectOf({ name: caller, settings }: Named<JwtSettings>, sources: KeySources): Subject {
  const { issuer, claims, name, groups, scopes } = settings
  return {
    caller,
    issuer,
    terms: termsOf(settings),
    source: sources.of(settings, issuer),
    misfit: compileClaims(claims),
    template: name === undefined ? undefined : compileTemplate(name),
    groups,
    ceilingOf: scopes && compileScopes(scopes),
  }
}

interface Claimed {
  readonly subject: Subject
  readonly proved: Proved
}

/** Who a token would prove if its signature were right: what costs nothing comes first. A text: why it proves nobody. */
function provedBy(token: Token, subjects: readonly Subject[], clock: Clock): Claimed | string {
  const subject = subjectFor(token, subjects, clock.now())
  if (typeof subject === 'string') return subject
  const proved = claimedBy(token.claims, subject)
  return typeof proved === 'string' ? proved : { subject, proved }
}

/** One that the settings name goes before one whose name is made; of two alike nobody could say which was meant. */
function subjectFor(token: Token, subjects: readonly Subject[], now: number): Subject | string {
  const faults = subjects.map((subject) => faultOf(token, subject, now))
  const fit = subjects.filter((_, at) => faults[at] === undefined)
  const named = fit.filter(({ template }) => template === undefined)
  const [subject, other] = named.length > 0 ? named : fit
  if (subject && other) return `it could be ${subject.caller} or ${other.caller}: claims have to tell them apart`
  if (subject) return subject
  return subjects.map(({ caller }, at) => `not ${caller}, because ${faults[at]}`).join('; ')
}

function faultOf({ header, claims }: Token, { terms, misfit }: Subject, now: number): string | undefined {
  const fault = faultOfHeader(header, terms) ?? faultOfUse(claims, terms, now)
  if (fault !== undefined) return fault
  const claim = misfit(claims)
  return claim === undefined ? undefined : `its claim ${claim} does not fit`
}

function claimedBy(claims: Members, { caller, issuer, template, groups: rules, ceilingOf }: Subject): Proved | string {
  const name = template ? template.nameOf(claims) : caller
  if (name === undefined) return `its claims make no name for ${caller}`
  const groups = rules && groupsIn(claims, rules)
  if (rules && !groups) return `its groups are no list of names, or one too long`
  return {
    caller: name,
    ...(template && { madeBy: caller }),
    ...(groups && { groups }),
    ...(ceilingOf && { scopes: ceilingOf(scopesIn(claims)) }),
    details: detailsOf({ issuer, subject: claims.get('sub') }),
  }
}

async function verify(token: Token, { subject, proved }: Claimed, clock: Clock): Promise<Judgement> {
  const signature = await judgeSignature(token, subject.source)
  if (signature.keyId === undefined) return { finding: rejected(signature.fault, signature) }
  const span = spanOf(token, subject.terms.clockSlackMs, clock)
  return {
    finding: proved,
    span,
    endsAt: span.untilMonotonic,
    holds: stillHolds(signature.keyId, subject.source),
  }
}

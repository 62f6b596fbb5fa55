import type { Evidence } from '../core/ask.ts'
import type { ReadableClientCertificate } from '../core/certificate.ts'
import type { Clock } from '../core/clock.ts'
import type { CallerKind, CallerTools, Finding, Named, Proved, Wrong } from './method.ts'
import type { SanTemplate } from './san-template.ts'
import { TrustBundle } from './spiffe-bundle.ts'
import type { SpiffeId } from './spiffe-id.ts'
import { faultOfJwtSvid, type JwtSvid, readJwtSvid, SLACK_MS } from './spiffe-jwt.ts'
import { bundlesOf, mayMake, type SpiffeSettings, schema, templateOf } from './spiffe-settings.ts'
import { claimedId, claimsId, Svids } from './spiffe-x509.ts'
import type { Token } from './token.ts'
import { type Judgement, rejected, TokenMethod } from './token-method.ts'
import { spanOf } from './token-proof.ts'

/** A workload of a trust domain, whose own authorities vouch for it, and no others. */
export const spiffe: CallerKind<typeof schema> = {
  schema,
  proofIs: 'shown',
  readsTokens: true,
  faults: (callers) => [...sharedIds(callers), ...foreignIds(callers), ...vagueNames(callers)],
  nameMaker: (settings) =>
    settings.name === undefined ? undefined : Object.keys(bundlesOf(settings)).sort().join(' '),
  mayName: (name, settings) => mayMake(name, settings),
  build(callers, tools) {
    const workloads = callers.map((caller) => workloadsOf(caller, tools))
    const svids = new Svids()
    const { clock } = tools
    const tokens = new TokenMethod({ kind: 'spiffe', clock, judge: (token) => judgeToken(token, workloads, clock) })
    return {
      kind: 'spiffe',
      identify(evidence, effort) {
        const found = tokens.identify(evidence, effort)
        return found instanceof Promise ? found.then((later) => ofItsName(later, evidence)) : ofItsName(found, evidence)
      },
      stand({ certificate }) {
        if (!certificate) return 'silent'
        if (certificate.leaf === undefined) return refuse(`the certificate cannot be read: ${certificate.unreadable}`)
        if (!claimsId(certificate)) return 'silent'
        return identifyCertificate(certificate, { workloads, svids, at: tools.clock.now() })
      },
    }
  },
}

/** One caller of the settings, or all that its template makes. */
interface Workloads {
  readonly ids: ReadonlySet<string>
  readonly template: SanTemplate | undefined
  readonly bundles: ReadonlyMap<string, TrustBundle>
  readonly audiences: readonly string[]
  readonly caller: string
}

function workloadsOf({ name, settings }: Named<SpiffeSettings>, { references }: CallerTools): Workloads {
  const bundles = Object.entries(bundlesOf(settings)).map(
    ([domain, file]) => [domain, new TrustBundle(() => references.file(file))] as const,
  )
  return {
    ids: new Set(settings.ids),
    template: templateOf(settings),
    bundles: new Map(bundles),
    audiences: settings.audience === undefined ? [] : [settings.audience],
    caller: name,
  }
}

/** A caller that an ID could be, and the bundle of the ID's own trust domain. */
interface Claim {
  readonly caller: string
  readonly madeBy?: string
  readonly bundle: TrustBundle
  readonly audiences: readonly string[]
}

/** Whom an ID means, if it is true. What settings name exactly beats what a template makes. */
function claimOf(id: SpiffeId, all: readonly Workloads[]): Claim | string {
  const among = all.filter(({ bundles }) => bundles.has(id.trustDomain))
  if (among.length === 0) return 'its trust domain is not one of the settings'
  const exact = among.filter(({ ids }) => ids.has(id.text))
  const claims = (exact.length > 0 ? exact : among).flatMap((one) => claimWith(one, id) ?? [])
  const [claim, ...others] = claims
  if (!claim) return 'no caller has its SPIFFE ID'
  return others.length === 0 ? claim : 'its SPIFFE ID could be several callers'
}

function claimWith({ ids, template, bundles, audiences, caller }: Workloads, id: SpiffeId): Claim | undefined {
  const bundle = bundles.get(id.trustDomain)
  const made = template?.nameOf({ trustDomain: id.trustDomain, path: id.path.slice(1) })
  if (!bundle) return undefined
  if (ids.has(id.text)) return { caller, bundle, audiences }
  return made === undefined ? undefined : { caller: made, madeBy: caller, bundle, audiences }
}

interface Bench {
  readonly workloads: readonly Workloads[]
  readonly svids: Svids
  readonly at: number
}

function identifyCertificate(certificate: ReadableClientCertificate, { workloads, svids, at }: Bench): Finding {
  const id = claimedId(certificate)
  if (typeof id === 'string') return refuse(`the certificate is no X.509-SVID: ${id}`)
  const claim = claimOf(id, workloads)
  if (typeof claim === 'string') return refuse(`the X.509-SVID proves nobody: ${claim}`)
  const fault = svids.faultAt(certificate, claim.bundle.authorities(), { by: claim.bundle, at })
  if (fault !== undefined) return refuse(`the X.509-SVID proves nobody: ${fault}`)
  const { fingerprint } = certificate.leaf
  return { ...nameOf(claim), details: { spiffeId: id.text, svid: 'x509', certificate: fingerprint } }
}

function nameOf({ caller, madeBy }: Claim): Pick<Proved, 'caller' | 'madeBy'> {
  return { caller, ...(madeBy !== undefined && { madeBy }) }
}

function refuse(reason: string): Finding {
  return { wrong: 'certificate-unknown', reason }
}

/** The user of Basic, where it is one, has to be the caller. */
function ofItsName(found: Finding, { keys }: Evidence): Finding {
  const beside = keys[0]?.caller
  if (beside === undefined || typeof found !== 'object' || found.caller === undefined) return found
  return found.caller === beside ? found : rejected('the JWT-SVID is of another caller')
}

function judgeToken(
  token: Token,
  workloads: readonly Workloads[],
  clock: Clock,
): Wrong | (() => Promise<Judgement>) | undefined {
  const svid = readJwtSvid(token.secret)
  if (svid === undefined) return undefined
  if (typeof svid === 'string') return provesNobody(svid)
  const claim = claimOf(svid.id, workloads)
  if (typeof claim === 'string') return provesNobody(claim)
  if (claim.audiences.length === 0) return provesNobody('no audience is set for its caller')
  return () => verify(token, { svid, claim, clock })
}

interface Claimed {
  readonly svid: JwtSvid
  readonly claim: Claim
  readonly clock: Clock
}

async function verify(token: Token, { svid, claim, clock }: Claimed): Promise<Judgement> {
  const { bundle, audiences } = claim
  const authorities = bundle.authorities()
  const fault = await faultOfJwtSvid(svid, { authorities, audiences, at: clock.now() })
  if (fault !== undefined) return { finding: provesNobody(fault) }
  const span = spanOf(token, SLACK_MS, clock)
  return {
    finding: { ...nameOf(claim), details: { spiffeId: svid.id.text, svid: 'jwt' } },
    span,
    endsAt: span.untilMonotonic,
    // Another bundle may have withdrawn the key.
    holds: () => bundle.authorities() === authorities,
  }
}

function provesNobody(fault: string): Wrong {
  return rejected(`the JWT-SVID proves nobody: ${fault}`)
}

interface CallerFault {
  readonly caller: string
  readonly message: string
}

function sharedIds(callers: readonly Named<SpiffeSettings>[]): CallerFault[] {
  const seen = new Map<string, string>()
  return callers.flatMap(({ name: caller, settings: { ids = [] } }) =>
    ids.flatMap((id) => {
      const other = seen.get(id)
      seen.set(id, caller)
      return other === undefined ? [] : [{ caller, message: `use an ID of its own: ${other} has ${id}` }]
    }),
  )
}

function foreignIds(callers: readonly Named<SpiffeSettings>[]): CallerFault[] {
  return callers.flatMap(({ name: caller, settings }) => {
    const domains = Object.keys(bundlesOf(settings))
    const foreign = settings.ids?.find((id) => !domains.some((domain) => id.startsWith(`spiffe://${domain}/`)))
    return foreign === undefined ? [] : [{ caller, message: `name the trust bundle that vouches for ${foreign}` }]
  })
}

/** Where a name does not say which trust domain it is of, two trust domains could make the same. */
function vagueNames(callers: readonly Named<SpiffeSettings>[]): CallerFault[] {
  const seen = new Map<string, string>()
  return callers.flatMap(({ name: caller, settings }) => {
    const template = templateOf(settings)
    if (!template) return []
    const domains = Object.keys(bundlesOf(settings))
    if (domains.length > 1 && !template.fields.includes('trustDomain'))
      return [{ caller, message: 'use {trustDomain} in name: two trust domains could make one name' }]
    const other = domains.map((domain) => seen.get(domain)).find((one) => one !== undefined)
    for (const domain of domains) seen.set(domain, caller)
    return other === undefined ? [] : [{ caller, message: `leave it to ${other}, which names the same trust domain` }]
  })
}

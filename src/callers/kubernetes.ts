import type { Clock } from '../core/clock.ts'
import { compileTemplate, type NameTemplate } from './claims-template.ts'
import type { KeySource } from './jwks-source.ts'
import { type Account, accountIn } from './kubernetes-account.ts'
import { TokenReviewer } from './kubernetes-review.ts'
import { type KubernetesSettings, kubernetesSettings } from './kubernetes-settings.ts'
import type { CallerKind, CallerTools, Named, Proved, Wrong } from './method.ts'
import type { Token } from './token.ts'
import { faultOfHeader, faultOfUse, type Terms } from './token-checks.ts'
import { detailsOf } from './token-details.ts'
import { type Judgement, rejected, TokenMethod } from './token-method.ts'
import { judgeSignature, type Signature, type Span, spanOf, spanUntil, stillHolds } from './token-proof.ts'
import { KeySources, keyServers, routeOf, termsOf } from './token-settings.ts'

/** Pods of a cluster, by their projected service-account tokens. One entry of the settings is one cluster. */
export const kubernetes: CallerKind<typeof kubernetesSettings> = {
  schema: kubernetesSettings,
  proofIs: 'shown',
  readsTokens: true,
  dials: ({ apiServer: url, ...settings }) => [
    ...(url === undefined ? [] : [{ url, what: 'API server', allowPrivate: settings.allowPrivate }]),
    ...keyServers(settings),
  ],
  nameMaker: clusterOf,
  mayName: (name, settings) => templatesOf(settings).some((template) => template.mayMake(name)),
  faults(callers) {
    const seen = new Map<string, string>()
    return callers.flatMap(({ name, settings }) => [
      ...faultOfSecond({ name, settings }, callers.length),
      ...duplicateOf(
        `issuer ${settings.issuer}`,
        name,
        seen,
        'use an issuer of its own: one entry is one cluster, and',
      ),
      ...duplicateOf(
        `name ${settings.name}`,
        name,
        seen,
        'use a name of its own, as in "prod/{namespace}/{serviceAccount}":',
      ),
    ])
  },
  build(callers, tools) {
    const sources = new KeySources(tools)
    const clusters = callers.map((caller) => clusterFrom(caller, sources, tools))
    const { clock } = tools
    return new TokenMethod({
      kind: 'kubernetes',
      clock,
      judge(token) {
        const account = accountIn(token.claims)
        const issuer = token.claims.get('iss')
        const cluster = clusters.find((one) => one.issuer === undefined || one.issuer === issuer)
        if (!cluster || !account) return undefined
        const proved = provedBy(token, account, cluster, clock)
        return 'wrong' in proved ? proved : () => verify({ token, account, cluster, proved }, clock)
      },
    })
  },
}

function clusterOf({ issuer, apiServer }: KubernetesSettings): string {
  return issuer ?? apiServer ?? ''
}

/** Where its namespaces are known, these and no others. */
function templatesOf({ name, namespaces }: KubernetesSettings): readonly NameTemplate[] {
  const forms = namespaces?.map((namespace) => name.replace('{namespace}', namespace)) ?? [name]
  return forms.map(compileTemplate)
}

/** Without an issuer every token of a service account would be taken for one of this cluster, and shown to it. */
function faultOfSecond({ name, settings }: Named<KubernetesSettings>, count: number) {
  const message = 'add its issuer: with more than one cluster a token has to say whose it is'
  return count > 1 && settings.issuer === undefined ? [{ caller: name, message }] : []
}

function duplicateOf(key: string, caller: string, seen: Map<string, string>, remedy: string) {
  const other = seen.get(key)
  seen.set(key, caller)
  return other === undefined ? [] : [{ caller, message: `${remedy} ${other} has the same` }]
}

/** One cluster, compiled. */
interface Cluster {
  readonly caller: string
  readonly issuer: string | undefined
  readonly terms: Terms
  readonly source: KeySource | undefined
  readonly reviewer: TokenReviewer | undefined
  readonly reviewCacheMs: number
  readonly template: NameTemplate
  readonly namespaces: ReadonlySet<string> | undefined
  readonly serviceAccounts: ReadonlySet<string> | undefined
}

function clusterFrom({ name, settings }: Named<KubernetesSettings>, sources: KeySources, tools: CallerTools): Cluster {
  const { issuer, namespaces, serviceAccounts, reviewCacheMs, token } = settings
  const own = token && tools.references.secret(token)
  // Inside a cluster nobody without a token may read where its keys are.
  const authorization = own && (() => `Bearer ${own.current().secret.reveal()}`)
  return {
    caller: name,
    issuer,
    terms: termsOf(settings),
    source: issuer === undefined ? undefined : sources.of(settings, issuer, authorization),
    reviewer: reviewerOf(settings, tools),
    reviewCacheMs,
    template: compileTemplate(settings.name),
    namespaces: namespaces && new Set(namespaces),
    serviceAccounts: serviceAccounts && new Set(serviceAccounts),
  }
}

function reviewerOf(settings: KubernetesSettings, tools: CallerTools): TokenReviewer | undefined {
  const { apiServer, token, timeoutMs } = settings
  if (apiServer === undefined || !token) return undefined
  return new TokenReviewer({
    apiServer,
    token: tools.references.secret(token),
    audiences: termsOf(settings).audiences,
    route: routeOf(settings, tools),
    timeoutMs,
    clock: tools.clock,
    onFault: (reason) => tools.onFault(`tokens of ${apiServer}: ${reason}`),
  })
}

/** What costs nothing comes first. No token is shown to a cluster that is not for us, or that has expired. */
function provedBy({ header, claims }: Token, account: Account, cluster: Cluster, clock: Clock): Proved | Wrong {
  const { caller, terms, template } = cluster
  const fault =
    faultOfHeader(header, terms) ?? faultOfUse(claims, terms, clock.now()) ?? faultOfAccount(account, cluster)
  if (fault !== undefined) return rejected(`not of ${caller}, because ${fault}`)
  const { username: subject, namespace, name: serviceAccount, pod, node } = account
  const name = template.nameOf(new Map(Object.entries({ namespace, serviceAccount })))
  if (name === undefined) return rejected(`its account makes no name for ${caller}`)
  return {
    caller: name,
    madeBy: caller,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`],
    details: detailsOf({ issuer: claims.get('iss'), subject, pod, node }),
  }
}

function faultOfAccount(account: Account, { namespaces, serviceAccounts }: Cluster): string | undefined {
  if (namespaces?.has(account.namespace) === false) return 'its namespace is not listed'
  const isListed = serviceAccounts?.has(`${account.namespace}/${account.name}`) !== false
  return isListed ? undefined : 'its service account is not listed'
}

interface Claimed {
  readonly token: Token
  readonly account: Account
  readonly cluster: Cluster
  readonly proved: Proved
}

/** The signature first, where it can be verified here: the cluster is not asked about forgeries. */
async function verify({ token, account, cluster, proved }: Claimed, clock: Clock): Promise<Judgement> {
  const { source, reviewer, terms } = cluster
  const signature = source && (await judgeSignature(token, source))
  if (signature && signature.keyId === undefined) return { finding: rejected(signature.fault, signature) }
  const span = spanOf(token, terms.clockSlackMs, clock)
  const kept = { finding: proved, endsAt: span.untilMonotonic, ...keyStillHolds(signature, source) }
  if (!reviewer) return { ...kept, span }
  const review = await reviewer.review(token.secret)
  const reviewed = shortened(span, cluster, clock)
  if (review.username === account.username) return { ...kept, span: reviewed }
  const fault = review.username === undefined ? review.fault : 'the API server knows it as somebody else’s'
  const finding = rejected(fault, review.username === undefined ? review : {})
  // A refusal is believed as long as a yes: a pod that goes on showing it is no reason to ask at each request.
  return finding.isOurs ? { finding } : { finding, span: reviewed }
}

function keyStillHolds(signature: Signature | undefined, source: KeySource | undefined): Pick<Judgement, 'holds'> {
  return source && signature?.keyId !== undefined ? { holds: stillHolds(signature.keyId, source) } : {}
}

function shortened({ notBefore, until }: Span, { reviewCacheMs }: Cluster, clock: Clock): Span {
  return spanUntil(notBefore, Math.min(until, clock.now() + reviewCacheMs), clock)
}

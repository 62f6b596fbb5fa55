import { dirname } from 'node:path'
import { ciliumPolicies } from '../egress/cilium.ts'
import { type Egress, egressOf, type Place, withAddresses } from '../egress/egress.ts'
import { networkPolicies } from '../egress/networkpolicy.ts'
import { nftRuleset } from '../egress/nftables.ts'
import type { Label, Pods } from '../egress/pods.ts'
import { resolverOf } from '../egress/resolver.ts'
import { warningsOf } from '../egress/words.ts'
import { openSecret } from '../secrets/open.ts'
import { type Loaded, loadSettings } from '../settings/load.ts'
import type { Settings } from '../settings/schema.ts'
import { serverIn } from '../store/postgres-url.ts'
import { createResolver } from '../wire/resolve.ts'
import { orSettingsExit } from './failing.ts'

/** What every form of `sallyport export` is told. */
export interface ExportOptions {
  readonly config: string
  readonly also: readonly Place[]
  readonly store?: Place
  readonly dns?: readonly string[]
  readonly resolve?: true
}

/** Which pods a policy of Kubernetes is about. */
export interface PodOptions extends ExportOptions {
  readonly shape: Pods['shape']
  readonly apps?: Label
  readonly sallyport: Label
  readonly namespace?: string
  readonly appsNamespace?: string
  readonly clusterDomain: string
}

/** `sallyport export networkpolicy`, `sallyport export cilium`. */
export async function exportPolicies(kind: 'networkpolicy' | 'cilium', options: PodOptions): Promise<void> {
  const { apps, namespace, appsNamespace } = options
  const pods = { ...options, apps, namespace, appsNamespace }
  const translate = kind === 'cilium' ? ciliumPolicies : networkPolicies
  await print(options, (settings, egress) => translate(settings, egress, pods))
}

interface NftOptions extends ExportOptions {
  readonly sallyportUser: string
  readonly appUser: readonly string[]
  readonly redirectTo?: number
}

/** `sallyport export nftables`. */
export async function exportNftables(options: NftOptions): Promise<void> {
  const { sallyportUser: sallyport, appUser: apps, redirectTo } = options
  await print(options, (settings, egress) => nftRuleset(settings, egress, { sallyport, apps, redirectTo }))
}

async function print(options: ExportOptions, translate: (settings: Settings, egress: Egress) => string): Promise<void> {
  await orSettingsExit(async () => {
    const loaded = await loadSettings(options.config)
    const { settings } = loaded
    const store = options.store ?? (await storeServer(loaded))
    const resolvers = options.dns?.map(resolverOf)
    const egress = egressOf(settings, { store, also: options.also, resolvers })
    const whole = options.resolve ? withAddresses(egress, await addressesNow(egress, settings)) : egress
    const text = translate(settings, whole)
    for (const warning of warningsOf(whole)) process.stderr.write(`warning: ${warning}\n`)
    process.stdout.write(text)
  })
}

/** Where the store is stands in a secret, which this machine may not have. @throws Error in words */
async function storeServer({ settings: { store }, file }: Loaded): Promise<Place | undefined> {
  if (store?.kind !== 'postgres') return undefined
  try {
    const url = await openSecret(store.url, { directory: dirname(file) })
    url.close()
    return serverIn(url)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`where the store is cannot be read here: name it by --store HOST:PORT (${why})`, { cause })
  }
}

/** Asked just as Sallyport would ask. @throws Error naming every name without an address */
async function addressesNow({ needs }: Egress, { dns }: Settings): Promise<ReadonlyMap<string, readonly string[]>> {
  const resolver = createResolver({ hosts: dns.hosts, servers: dns.servers })
  const asked = needs.filter(({ host, addresses }) => addresses === undefined && !host.startsWith('*.'))
  const names = [...new Set(asked.map(({ host }) => host))]
  const found = await Promise.allSettled(names.map(async (name) => [name, await resolver.resolve(name)] as const))
  const missing = names.filter((_, at) => found[at]?.status === 'rejected')
  if (missing.length > 0)
    throw new Error(`${missing.join(', ')} cannot be resolved here: leave --resolve out, or pin by dns.hosts`)
  return new Map(found.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])))
}

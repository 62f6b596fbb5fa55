import type { SecureContext } from 'node:tls'
import { interceptedHosts } from '../../settings/policy.ts'
import { countRejections } from './admin.ts'
import { type Found, findAuthority } from './authority.ts'
import { type Client, clients } from './clients.ts'
import { examine, examineAll, type Told } from './finding.ts'
import { goTold } from './go.ts'
import { isInstalled, probe, type Reaction } from './probe.ts'
import { NOT_INSTALLED } from './programs.ts'
import { servedTold } from './served.ts'
import type { Site } from './site.ts'
import { probeHost } from './words.ts'

/** For a JVM that has to compile its program first, beside all the others on a small machine. */
const DEADLINE_MS = 30_000

/** Which of the installed clients trust the authority, by trying them, and what makes each of the others. */
export async function examineTrust(site: Site): Promise<readonly Told[]> {
  const { settings } = site.loaded
  if (settings.ca === undefined || interceptedHosts(settings).length === 0)
    return [{ subject: 'clients', state: 'skipped', says: 'no connection intercepts: there is no authority to trust' }]
  if (settings.ca === 'ephemeral') return [{ subject: 'clients', state: 'skipped', says: EPHEMERAL }]
  const seen = examine('sidecar', (signal) => toldOfRejections(site, signal))
  const found = await findAuthority(site, settings.ca)
  const served = servedTold(site, found)
  return [...found.told, ...(await served), ...(await examineClients(site, found)), ...(await seen)]
}

const EPHEMERAL =
  'an ephemeral authority is in the memory of its sidecar: nobody trusts it but the children of `sallyport run`'

async function examineClients(site: Site, { authority, bundle }: Found): Promise<readonly Told[]> {
  const host = interceptedHosts(site.loaded.settings)
    .map(probeHost)
    .find((one) => one !== undefined)
  if (!authority) return [{ subject: 'clients', state: 'skipped', says: 'the authority cannot be used as it is' }]
  if (host === undefined) return [{ subject: 'clients', state: 'skipped', says: 'only addresses are intercepted' }]
  const context = await authority.contextFor(host)
  const installed = clients.filter(({ program }) => isInstalled(program, site.env))
  const told = examineAll(installed, (client) => examineClient(client, { host, context, bundle, env: site.env }))
  return [...(await told), ...(await goTold(authority.certificatePem, { bundle }, site.env))]
}

interface Stand {
  readonly host: string
  readonly context: SecureContext
  readonly bundle: string
  readonly env: NodeJS.ProcessEnv
}

function examineClient(client: Client, { bundle, ...exhibit }: Stand): Promise<readonly Told[]> {
  const look = async (signal: AbortSignal) => {
    const reaction = await probe(client, exhibit, signal)
    return toldOf(client, reaction, client.remedy({ bundle, env: exhibit.env }))
  }
  return examine(client.name, look, DEADLINE_MS)
}

function toldOf({ name }: Client, { verdict, exitCode }: Reaction, remedy: string): readonly Told[] {
  if (verdict === 'trusts') return [{ subject: name, state: 'ok', says: 'trusts the authority' }]
  if (verdict) return [{ subject: name, state: 'failed', says: verdict.says, remedy }]
  if (exitCode === NOT_INSTALLED) return []
  const says = `could not be tried: it ended before it asked for anything (exit code ${exitCode})`
  return [{ subject: name, state: 'warning', says, remedy }]
}

async function toldOfRejections(site: Site, signal: AbortSignal): Promise<readonly Told[]> {
  const count = (await countRejections(site, signal)) ?? 0
  if (count === 0) return []
  const says = `certificates that clients rejected since its start: ${count}; the audit has who, and the reason in words`
  return [
    { subject: 'sidecar', state: 'warning', says, remedy: 'run `sallyport doctor` in the environment of that client' },
  ]
}

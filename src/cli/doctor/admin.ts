import type { ClientRequest, IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { issuerSettings, needsOf, type SourceSettings } from '../../credentials/registry.ts'
import { z } from '../../forms/zod.ts'
import type { Settings } from '../../settings/schema.ts'
import type { ListenAddress } from '../../wire/listen.ts'
import { http } from '../../wire/node-http.ts'
import { codeOf } from '../../wire/opening.ts'
import { atChosenPort, serveLine } from './doors.ts'
import { examine, type Told } from './finding.ts'
import { fixedPlace, type Site } from './site.ts'

const state = z.object({
  phase: z.string(),
  expiresAt: z.string().optional(),
  nextAttemptAt: z.string().optional(),
  login: z.enum(['needs-login', 'ok', 'expiring']).optional(),
  lastError: z.object({ code: z.string(), reason: z.string(), at: z.string() }).optional(),
})
const store = z.object({ phase: z.string(), fault: z.string().optional() })
const readiness = z.object({
  status: z.string(),
  store: store.optional(),
  connections: z.record(z.string(), state),
})

/** What the operator's door of a running sidecar says of it. */
export async function examineAdmin({ loaded }: Site): Promise<readonly Told[]> {
  const { admin } = loaded.settings
  if (!admin) return [{ subject: 'admin', state: 'skipped', says: 'the settings name no admin listener' }]
  const subject = `admin ${admin.listen}`
  const place = fixedPlace(admin.listen, loaded)
  if (!place) return [atChosenPort(subject)]
  return examine(subject, async (signal) => {
    const answer = await ask(place, '/readyz', signal)
    if (typeof answer !== 'string')
      return { subject, state: 'failed', says: `nobody answers (${answer.code})`, remedy: serveLine(loaded.file) }
    const parsed = readiness.safeParse(parse(answer))
    if (!parsed.success) return { subject, state: 'failed', says: 'what answers is no Sallyport', remedy: OTHER_PORT }
    return [
      statusTold(subject, parsed.data),
      ...storeTold(parsed.data.store),
      ...Object.entries(parsed.data.connections).map((one) => connectionTold(one, loaded.settings)),
    ]
  })
}

/** How often a running sidecar saw a client reject its certificates; undefined where there is nobody to ask. */
export async function countRejections({ loaded }: Site, signal: AbortSignal): Promise<number | undefined> {
  const place = loaded.settings.admin && fixedPlace(loaded.settings.admin.listen, loaded)
  const answer = place && (await ask(place, '/metrics', signal))
  if (typeof answer !== 'string') return undefined
  const rows = answer.matchAll(/^sallyport_refusals_total\{[^}]*code="certificate-rejected"[^}]*\} (\d+)$/gm)
  return Array.from(rows, ([, count]) => Number(count)).reduce((sum, count) => sum + count, 0)
}

const OTHER_PORT = 'give the admin listener an address of its own'

type Shown = z.infer<typeof state>

/** Ready is what probes are told: it takes requests, and answers those for a connection without a credential by 502 or 503. */
function statusTold(subject: string, { status, connections }: z.infer<typeof readiness>): Told {
  if (status === 'ok') {
    const without = Object.keys(connections).filter((name) => connections[name]?.phase === 'failed')
    const but = without.length === 0 ? '' : `; without a credential: ${without.join(', ')}`
    return { subject, state: 'ok', says: `the sidecar is ready${but}` }
  }
  return { subject, state: 'failed', says: `the sidecar is ${status}`, remedy: 'look at its log: it is shutting down' }
}

/** What it knew goes on being served for `store.staleMs`, and then everything is refused. */
function storeTold(found: z.infer<typeof store> | undefined): readonly Told[] {
  if (!found) return []
  if (found.phase === 'confirmed')
    return [{ subject: 'store', state: 'ok', says: 'what operators have granted is known' }]
  const says = `the store is ${found.phase}: ${found.fault ?? 'nobody knows why'}`
  return [{ subject: 'store', state: 'failed', says, remedy: 'bring it back within store.staleMs, or all is refused' }]
}

function connectionTold([name, shown]: readonly [string, Shown], { connections }: Settings): Told {
  const { phase, lastError, nextAttemptAt } = shown
  const subject = `connection ${name}`
  const { login } = shown
  const source = connections[name]?.credential
  const isShared = source?.kind !== 'authorization-code' || source.identity === 'shared'
  const command = `sallyport login ${name}${isShared ? '' : ' --caller NAME'}`
  if (login === 'needs-login')
    return { subject, state: 'warning', says: 'nobody has logged in for it', remedy: command }
  if (login === 'expiring') return { subject, state: 'warning', says: 'a login for it ends soon', remedy: command }
  if (!lastError) return { subject, state: 'ok', says: inWords(shown) }
  const says = `${inWords(shown)}; at ${lastError.at}: ${lastError.reason} (${lastError.code})`
  const remedy = nextAttemptAt === undefined ? elsewhere(name, source) : `it is tried again from ${nextAttemptAt} on`
  return { subject, state: phase === 'failed' ? 'failed' : 'warning', says, remedy }
}

/** The check of issuers looks at those that ask a token endpoint for everybody alike. */
function elsewhere(name: string, source: SourceSettings | undefined): string {
  const isLookedAt = source && issuerSettings(source) && !needsOf(source).callersToken
  return isLookedAt ? 'see the check "issuers"' : `put right in connections.${name}.credential what it says`
}

const PHASES: Readonly<Record<string, string>> = {
  none: 'nothing is injected',
  held: 'a long-lived secret is injected',
  absent: 'no token yet: the first request mints one',
  minting: 'a token is being minted',
  fresh: 'its token is good',
  refreshing: 'its token is good, and the next one is being minted',
  stale: 'its token is good, but the last refresh failed',
  failed: 'there is no token: the last mint failed',
}

function inWords({ phase, expiresAt }: Shown): string {
  return `${PHASES[phase] ?? phase}${expiresAt === undefined ? '' : `, until ${expiresAt}`}`
}

/** The body; where there is none, why. No proxy variable has a say, because an agent of one's own reads none. */
export async function ask(place: ListenAddress, path: string, signal: AbortSignal): Promise<string | { code: string }> {
  const to = place.kind === 'unix' ? { socketPath: place.path } : { host: place.host, port: place.port }
  const asked = http.get({ ...to, path, signal, agent: false })
  try {
    return await text(await responseTo(asked))
  } catch (error) {
    if (signal.aborted) throw error
    return { code: codeOf(error) }
  }
}

/** The answer to a request, whose errors from then on are those of the answer. */
export function responseTo(asked: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => asked.once('response', resolve).once('error', reject))
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

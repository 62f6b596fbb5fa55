import { holderText } from '../core/grants.ts'
import { parseName } from '../core/host.ts'
import type { Policy } from '../core/policy.ts'
import type { ProblemCode } from '../core/problem.ts'
import { problems } from '../core/problems.ts'
import type { Refusal } from '../core/refusal.ts'
import type { Decision } from './decide-again.ts'
import { grantCommands } from './grant-command.ts'
import { Hosts } from './hosts.ts'
import { isNowhere, isUnread, NewConnections } from './new-connections.ts'
import { Notes } from './notes.ts'
import { shapeOf } from './path-shape.ts'
import { decideBehindAllowlist, declaredGrants, grantOf, hostOf, isDeclared, type Present } from './present.ts'
import type { Recorded } from './recorded.ts'
import type { Aim, SuggestedConnection, SuggestedGrant, Suggestion } from './suggestion.ts'
import { Uses } from './uses.ts'

/** Makes of entries the settings that their traffic needs. Queries are not recorded, so none is in it. */
export function suggest(entries: Iterable<Recorded>, present: Present, aim: Aim = 'passed'): Suggestion {
  const suggesting = new Suggesting(present, aim)
  for (const entry of entries) suggesting.take(entry)
  return suggesting.end()
}

interface Asked {
  readonly entry: Recorded
  readonly caller: string
  readonly host: string
}

/** The same, entry by entry: memory grows with the paths that were asked for, up to a bound, not with how often they were. */
export class Suggesting {
  readonly #present: Present
  readonly #aim: Aim
  readonly #notes = new Notes()
  readonly #missing = new Notes()
  readonly #uses = new Uses(this.#notes)
  readonly #hosts: Hosts
  readonly #connections: NewConnections
  readonly #used = new Set<string>()
  #asks = 0
  #since: string | undefined
  #until: string | undefined

  constructor(present: Present, aim: Aim) {
    const { allowlist, placesByName } = present.policy
    this.#present = present
    this.#aim = aim
    this.#hosts = new Hosts(allowlist)
    this.#connections = new NewConnections({ notes: this.#notes, isTaken: (name) => placesByName.has(name) })
  }

  take(entry: Recorded): void {
    if (!isMeant(entry, this.#aim)) return
    const { caller } = entry
    const host = hostOf(entry, this.#present.policy)
    if (caller === undefined || host === undefined) {
      this.#giveUp(entry, entry.code)
      return
    }
    this.#count(entry)
    if (parseName(host) === host) this.#judge({ entry, caller, host })
    else this.#notes.add(`${caller} asks for ${host}, which is an address: no allowlist can name it`)
  }

  end(): Suggestion {
    const { policy, isDeclarable } = this.#present
    const connections = this.#connections.all()
    const allowlist = this.#hosts.all((host) => isNamed(host, connections) || policy.places.find(host) !== undefined)
    const grants = this.#uses.grants().filter(({ connection }) => isKnown(connection, connections, policy))
    const isOfSettings = ({ caller }: SuggestedGrant) => caller === undefined || isDeclarable(caller)
    if (this.#aim === 'passed') this.#tellOfUnused()
    return {
      aim: this.#aim,
      allowlist,
      connections,
      grants: grants.filter(isOfSettings),
      commands: grants.filter((grant) => !isOfSettings(grant)).flatMap((grant) => this.#commandsFor(grant)),
      missing: [...missingHosts(allowlist, connections, this.#present), ...this.#missing.all()],
      notes: this.#notes.all(),
      asks: this.#asks,
      since: this.#since,
      until: this.#until,
    }
  }

  #count({ time }: Recorded): void {
    this.#asks++
    if (this.#since === undefined || time < this.#since) this.#since = time
    if (this.#until === undefined || time > this.#until) this.#until = time
  }

  #judge(asked: Asked): void {
    const { entry, host } = asked
    const decision = decideBehindAllowlist(entry, host, this.#present)
    if (!decision) return
    // What failed behind a permit has gone to a connection that is there.
    const isFailed = entry.decision === 'permit' && entry.connection !== undefined
    if (isFailed && (this.#aim === 'refused' || isNowhere(entry.code))) this.#giveUp(entry, entry.code)
    if (decision.permitted) this.#keep(asked, decision)
    else if (decision.code === 'connection-missing') this.#connect(asked)
    else if (GRANTABLE.has(decision.code)) this.#grant(asked, decision)
    else this.#giveUp(entry, decision.code)
  }

  /** What is granted in the store stays there, and what is granted in the settings stays as long and to whom it is. */
  #keep({ entry, host }: Asked, decision: Exclude<Decision, Refusal>): void {
    const { policy } = this.#present
    this.#needHost(host)
    const grant = grantOf(decision, policy)
    if (!grant) return
    this.#used.add(grant.id)
    const { holder, connection, until } = grant
    const isEnough = decision.wouldRefuse === undefined && (this.#aim === 'refused' || !isDeclared(grant))
    if (isEnough || !this.#uses.take(entry, { holder, connection, until }, placeOf(entry, host, policy))) return
    if (decision.wouldRefuse) this.#missing.add(lacking(entry, decision.wouldRefuse))
  }

  #connect({ entry, caller, host }: Asked): void {
    if (entry.connection !== undefined) {
      this.#notes.add(`${host} was reached by ${entry.connection}, and no connection names it any more`)
      return
    }
    const connection = this.#connections.nameFor(entry, host)
    if (connection === undefined) return
    this.#hosts.add(host)
    this.#uses.take(entry, { holder: { caller }, connection }, { basePath: '', isUnread: isUnread(entry) })
  }

  #grant({ entry, caller, host }: Asked, refusal: Refusal): void {
    const { policy, injecting } = this.#present
    const { connection = '' } = refusal
    this.#needHost(host)
    if (!this.#uses.take(entry, { holder: { caller }, connection }, placeOf(entry, host, policy))) return
    const credential = injecting.has(connection) ? ` (${connection} injects a credential)` : ''
    this.#missing.add(`${lacking(entry, refusal)}${credential}`)
  }

  #needHost(host: string): void {
    if (this.#aim === 'passed' || this.#present.policy.allowlist.find(host) === undefined) this.#hosts.add(host)
  }

  /** No grant, rule, host or connection without a credential cures it. */
  #giveUp({ caller = 'somebody', host, connection, door }: Recorded, code: string | undefined): void {
    if (code === undefined || !isProblem(code)) return
    const where = host ?? connection ?? door
    this.#notes.add(`${caller} at ${where}: nothing that is suggested here cures ${code}. ${problems[code].remedy}`)
  }

  #commandsFor({ caller = '', connection, rules }: SuggestedGrant): readonly string[] {
    const commands = grantCommands(caller, connection, rules)
    if (!commands)
      this.#notes.add(`${caller} needs a grant for ${connection} by the admin API: settings do not name it`)
    return commands ?? []
  }

  #tellOfUnused(): void {
    const { policy } = this.#present
    if (policy.allowlistMode === 'report') this.#missing.add('the allowlist is in report mode, and is enforced by this')
    for (const grant of declaredGrants(policy)) {
      const { id, holder, connection } = grant
      if (!this.#used.has(id)) this.#notes.add(`${id} of ${holderText(holder)} for ${connection}, which nobody needed`)
    }
  }
}

/** What a grant, or a rule of one, would have let through. */
const GRANTABLE: ReadonlySet<string> = new Set<ProblemCode>(['grant-missing', 'grant-expired', 'rule-not-matched'])

/** Of `refused`, what failed behind its permit is looked at too: it may need a setting that is not suggested. */
function isMeant({ decision, wouldRefuse, code }: Recorded, aim: Aim): boolean {
  if (aim === 'passed') return decision === 'permit'
  return decision === 'refuse' || wouldRefuse !== undefined || code !== undefined
}

function isProblem(code: string): code is ProblemCode {
  return Object.hasOwn(problems, code)
}

function isNamed(host: string, connections: readonly SuggestedConnection[]): boolean {
  return connections.some((one) => one.host === host)
}

function isKnown(name: string, connections: readonly SuggestedConnection[], { placesByName }: Policy): boolean {
  return placesByName.has(name) || connections.some((one) => one.name === name)
}

function placeOf({ port }: Recorded, host: string, { places }: Policy): { basePath: string; isUnread: boolean } {
  const place = places.find(host)
  if (!place) return { basePath: '', isUnread: false }
  return { basePath: place.basePath, isUnread: place.connect === 'tunnel' && (port ?? place.port) === place.port }
}

/** In words, with the shape of the path: that of the refusal has none, because callers are shown it. */
function lacking({ method, path }: Recorded, { code, reason }: Refusal): string {
  const shape = path === undefined ? undefined : shapeOf(path)
  return code === 'rule-not-matched' && shape !== undefined ? `${reason}: ${method} ${shape}` : reason
}

function missingHosts(
  allowlist: readonly string[],
  connections: readonly SuggestedConnection[],
  { policy, injecting }: Present,
): readonly string[] {
  const unlisted = allowlist.filter((host) => !host.startsWith('*.') && policy.allowlist.find(host) === undefined)
  return [
    ...unlisted.map((host) => {
      const connection = policy.places.find(host)?.name
      const credential = injecting.has(connection ?? '') ? `, and ${connection} injects a credential there` : ''
      return `${host} is not on the allowlist${credential}`
    }),
    ...connections.map(({ host }) => `no connection names ${host}`),
  ]
}

import type { ProblemCode } from '../core/problem.ts'
import { problems } from '../core/problems.ts'
import type { Notes } from './notes.ts'
import type { Recorded } from './recorded.ts'
import type { SuggestedConnection } from './suggestion.ts'

/** Where no connection leads, however often it is asked for. */
const NOWHERE = ['address-not-allowed', 'loop-detected', 'upstream-unresolved'] as const satisfies ProblemCode[]

/** Whether no connection could have helped. */
export function isNowhere(code: string | undefined): boolean {
  return NOWHERE.some((one) => one === code)
}

/** Callers make up as many hosts as they like. */
const MAX_HOSTS = 1_000

interface Parts {
  readonly notes: Notes
  isTaken(name: string): boolean
}

interface Lead extends SuggestedConnection {
  /** Why it was not reached, the first time; undefined: nothing speaks against it. */
  readonly nowhere: ProblemCode | undefined
  readonly isReached: boolean
}

/** Connections for hosts that no connection names. One without a credential: whose it would be, nobody can know. */
export class NewConnections {
  readonly #parts: Parts
  readonly #leads = new Map<string, Lead>()
  readonly #names = new Set<string>()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Its name; undefined: it cannot take this one, as has been noted. */
  nameFor(entry: Recorded, host: string): string | undefined {
    const { notes } = this.#parts
    const before = this.#leads.get(host)
    if (!before && this.#leads.size >= MAX_HOSTS) {
      notes.add(`more than ${MAX_HOSTS} hosts without a connection are asked for: write those by hand`)
      return undefined
    }
    const { port: asked, method } = entry
    if (method !== 'CONNECT' && asked === HTTP_PORT) {
      notes.add(`${host} is asked for at port 80 by its number, where plain HTTP is spoken: leave the port out`)
      return undefined
    }
    const wanted = asked === undefined || USUAL_PORTS.has(asked) ? undefined : asked
    const port = before ? before.port : wanted
    if (port !== wanted)
      notes.add(`${host} is asked for at port ${asked ?? HTTPS_PORT}, too: a connection has one port`)
    const name = before?.name ?? this.#freeName(host)
    this.#leads.set(host, { name, host, port, ...statusOf(entry, before) })
    return port !== wanted && asked !== undefined ? undefined : name
  }

  /** Those that lead somewhere; of the others it is noted why not, and what would be needed. */
  all(): readonly SuggestedConnection[] {
    return [...this.#leads.values()].flatMap(({ nowhere, isReached, ...connection }) => {
      if (nowhere === undefined || isReached) return [connection]
      this.#parts.notes.add(
        `${connection.host}: no connection can be suggested (${nowhere}). ${problems[nowhere].remedy}`,
      )
      return []
    })
  }

  #freeName(host: string): string {
    const name = freeName(host, (taken) => this.#names.has(taken) || this.#parts.isTaken(taken))
    this.#names.add(name)
    return name
  }
}

const HTTP_PORT = 80
const HTTPS_PORT = 443
const USUAL_PORTS: ReadonlySet<number> = new Set([HTTP_PORT, HTTPS_PORT])

function statusOf(entry: Recorded, before: Lead | undefined): Pick<Lead, 'isTunnelled' | 'nowhere' | 'isReached'> {
  const nowhere = NOWHERE.find((code) => code === entry.code)
  return {
    isTunnelled: before?.isTunnelled === true || isUnread(entry),
    nowhere: before?.nowhere ?? nowhere,
    isReached: before?.isReached === true || (entry.decision === 'permit' && nowhere === undefined),
  }
}

/** Whether it is a tunnel that nobody reads: plain HTTP in one is read, whatever the connection says. */
export function isUnread({ method, tunnel, decision, port }: Recorded): boolean {
  if (method !== 'CONNECT') return false
  return decision === 'permit' ? tunnel === 'unopened' : port !== HTTP_PORT
}

const NAME_AT_MOST = 120

/** That of the host, or the host and a number where a connection is called so already. */
function freeName(host: string, isTaken: (name: string) => boolean): string {
  // A host may begin with "_", a name may not.
  const base = host.replace(/^[^a-z0-9]+/, '').slice(0, NAME_AT_MOST) || 'host'
  for (let nth = 1; ; nth++) {
    const name = nth === 1 ? base : `${base}-${nth}`
    if (!isTaken(name)) return name
  }
}

import { parseName } from '../core/host.ts'
import type { Rule } from '../core/rule.ts'
import { gather, shapeOf } from './path-shape.ts'
import { isReverse, type Recorded } from './recorded.ts'

/** The least that lets through what was recorded as let through. */
export interface Suggestion {
  readonly allowlist: readonly string[]
  /** For hosts that report mode let out, and no connection names; each injects nothing. */
  readonly connections: readonly SuggestedConnection[]
  readonly grants: readonly SuggestedGrant[]
  /** What could not be said in settings, in words. */
  readonly notes: readonly string[]
  /** How many asks it is made of, and from when to when; ISO 8601. */
  readonly asks: number
  readonly since: string | undefined
  readonly until: string | undefined
}

/** A connection without a credential. */
export interface SuggestedConnection {
  readonly name: string
  readonly host: string
  /** Undefined: the usual one. */
  readonly port: number | undefined
  /** Somebody had a tunnel to it that passed unopened. */
  readonly isTunnelled: boolean
}

/** A grant of a caller, by its name. */
export interface SuggestedGrant {
  readonly caller: string
  readonly connection: string
  /** Absent where a tunnel passed unopened: nobody can judge rules in it. */
  readonly rules: readonly Rule[] | undefined
}

/** What is known of the connections: the path that reverse doors put before that of a request, by name. */
export type BasePaths = ReadonlyMap<string, string>

interface Gathered {
  /** Methods by path shape. */
  readonly shapes: Map<string, Set<string>>
  hasTunnel: boolean
}

/** Makes of entries the allowlist and the rules that their traffic needs. Queries are not recorded, so none is in it. */
export function suggest(entries: Iterable<Recorded>, basePaths: BasePaths): Suggestion {
  const suggesting = new Suggesting(basePaths)
  for (const entry of entries) suggesting.take(entry)
  return suggesting.end()
}

/** Paths of one caller at one connection, and notes: callers make up as many as they like, of thousands of characters each. */
const MAX_SHAPES = 2_000
const MAX_NOTES = 200
const MAX_NOTE = 300

/** The same, entry by entry: memory grows with the paths that were asked for, up to a bound, not with how often they were. */
export class Suggesting {
  readonly #basePaths: BasePaths
  readonly #hosts = new Set<string>()
  readonly #connections = new Map<string, SuggestedConnection>()
  readonly #uses = new Map<string, Map<string, Gathered>>()
  readonly #notes = new Notes()
  #asks = 0
  #since: string | undefined
  #until: string | undefined

  constructor(basePaths: BasePaths) {
    this.#basePaths = basePaths
  }

  take(entry: Recorded): void {
    const { caller, host, decision, time } = entry
    if (decision !== 'permit' || caller === undefined || host === undefined) return
    this.#asks++
    if (this.#since === undefined || time < this.#since) this.#since = time
    if (this.#until === undefined || time > this.#until) this.#until = time
    if (parseName(host) !== host) {
      this.#notes.add(`${caller} asks for ${host}, which is an address: no allowlist can name it`)
      return
    }
    this.#hosts.add(host)
    const basePaths = this.#basePaths
    const names = { connections: this.#connections, basePaths, notes: this.#notes }
    const connection = entry.connection ?? suggestConnection(entry, host, names)
    const basePath = basePaths.get(connection) ?? ''
    note(entry, gatheredFor(this.#uses, caller, connection), { basePath, notes: this.#notes })
  }

  end(): Suggestion {
    const grants = [...this.#uses].flatMap(([caller, byConnection]) =>
      [...byConnection].flatMap(([connection, gathered]) => grantOf(caller, connection, gathered)),
    )
    return {
      allowlist: [...this.#hosts].toSorted(),
      connections: [...this.#connections.values()],
      grants,
      notes: this.#notes.all(),
      asks: this.#asks,
      since: this.#since,
      until: this.#until,
    }
  }
}

/** Each once, as many and as long as people read. */
class Notes {
  readonly #all = new Set<string>()

  add(text: string): void {
    if (this.#all.size > MAX_NOTES) return
    const note = text.length > MAX_NOTE ? `${text.slice(0, MAX_NOTE)}…` : text
    this.#all.add(this.#all.size < MAX_NOTES || this.#all.has(note) ? note : 'and more than is told here')
  }

  all(): readonly string[] {
    return [...this.#all]
  }
}

interface Names {
  readonly connections: Map<string, SuggestedConnection>
  readonly basePaths: BasePaths
  readonly notes: Notes
}

const USUAL_PORTS: ReadonlySet<number> = new Set([80, 443])

/** Its name is that of the host, or the host and a number where a connection is called so already. */
function suggestConnection(entry: Recorded, host: string, { connections, basePaths, notes }: Names): string {
  const { method, tunnel } = entry
  const before = connections.get(host)
  const asked = entry.port === undefined || USUAL_PORTS.has(entry.port) ? undefined : entry.port
  const port = before ? before.port : asked
  if (port !== asked) notes.add(`${host} is asked for at port ${asked ?? 443}, too: a connection has one port`)
  const isTunnelled = before?.isTunnelled === true || (method === 'CONNECT' && tunnel === 'unopened')
  const name = before?.name ?? freeName(host, (taken) => basePaths.has(taken))
  connections.set(host, { name, host, port, isTunnelled })
  return name
}

const NAME_AT_MOST = 120

function freeName(host: string, isTaken: (name: string) => boolean): string {
  // A host may begin with "_", a name may not.
  const base = host.replace(/^[^a-z0-9]+/, '').slice(0, NAME_AT_MOST) || 'host'
  for (let nth = 1; ; nth++) {
    const name = nth === 1 ? base : `${base}-${nth}`
    if (!isTaken(name)) return name
  }
}

function gatheredFor(uses: Map<string, Map<string, Gathered>>, caller: string, connection: string): Gathered {
  const byConnection = uses.get(caller) ?? new Map<string, Gathered>()
  uses.set(caller, byConnection)
  const gathered = byConnection.get(connection) ?? { shapes: new Map(), hasTunnel: false }
  byConnection.set(connection, gathered)
  return gathered
}

interface Place {
  readonly basePath: string
  readonly notes: Notes
}

function note(entry: Recorded, gathered: Gathered, { basePath, notes }: Place): void {
  const { method, path, tunnel, caller, host } = entry
  if (method === 'CONNECT') {
    // What came through an opened one has entries of its own.
    if (tunnel === 'unopened') gathered.hasTunnel = true
    return
  }
  if (path === undefined) return
  const shape = shapeOf(isReverse(entry) ? basePath + path : path)
  if (shape === undefined || !METHOD.test(method)) {
    notes.add(`${caller} asks ${host} for ${method} ${path}, which no rule can name`)
    return
  }
  if (!gathered.shapes.has(shape) && gathered.shapes.size >= MAX_SHAPES) {
    notes.add(`${caller} asks ${host} for more paths than are looked at: write its rules by hand`)
    return
  }
  const methods = gathered.shapes.get(shape) ?? new Set()
  gathered.shapes.set(shape, methods.add(method))
}

const METHOD = /^[A-Z][A-Z-]*$/

function grantOf(caller: string, connection: string, { shapes, hasTunnel }: Gathered): readonly SuggestedGrant[] {
  if (hasTunnel) return [{ caller, connection, rules: undefined }]
  const rules = rulesOf(shapes)
  return rules.length === 0 ? [] : [{ caller, connection, rules }]
}

/** Paths that take the same methods share a rule; no rule takes a method at a path where it was not seen. */
function rulesOf(shapes: ReadonlyMap<string, ReadonlySet<string>>): readonly Rule[] {
  const methods = new Set([...shapes.values()].flatMap((all) => [...all]))
  const byPath = new Map<string, string[]>()
  for (const method of [...methods].toSorted()) {
    const seen = [...shapes].flatMap(([shape, all]) => (all.has(method) ? [shape] : []))
    for (const path of gather(seen)) byPath.set(path, [...(byPath.get(path) ?? []), method])
  }
  const rules = Map.groupBy([...byPath].toSorted(byPlace), ([, all]) => all.join(' '))
  return [...rules].map(([all, paths]) => ({ methods: all.split(' '), paths: paths.map(([path]) => path) }))
}

function byPlace([one]: readonly [string, unknown], [other]: readonly [string, unknown]): number {
  return one < other ? -1 : 1
}

import { type Holder, holderText } from '../core/grants.ts'
import type { Rule } from '../core/rule.ts'
import type { Notes } from './notes.ts'
import { gather, shapeOf } from './path-shape.ts'
import { isReverse, type Recorded } from './recorded.ts'
import type { SuggestedGrant } from './suggestion.ts'

/** By what it is granted, today or as suggested. */
export type Terms = Pick<SuggestedGrant, 'connection' | 'until'> & { readonly holder: Holder }

interface Gathered {
  readonly terms: Terms
  /** Methods by path shape. */
  readonly shapes: Map<string, Set<string>>
  /** A tunnel that nobody reads; one that is read. */
  hasUnread: boolean
  hasOpened: boolean
}

interface Place {
  /** That of the connection: reverse doors put it before the path. */
  readonly basePath: string
  readonly isUnread: boolean
}

/** Paths of one caller at one connection: callers make up as many as they like, of thousands of characters each. */
const MAX_SHAPES = 2_000
const METHOD = /^[A-Z][A-Z-]*$/

/** What was asked, by grant. */
export class Uses {
  readonly #notes: Notes
  readonly #all = new Map<string, Gathered>()

  constructor(notes: Notes) {
    this.#notes = notes
  }

  /** `place`: as the connection is now. False: no rule can name it, which has been noted. */
  take(entry: Recorded, terms: Terms, { basePath, isUnread }: Place): boolean {
    const gathered = this.#gatheredFor(terms)
    const { method, path, caller, host } = entry
    if (method === 'CONNECT') {
      if (isUnread) gathered.hasUnread = true
      else gathered.hasOpened = true
      return true
    }
    if (path === undefined) return false
    const shape = shapeOf(isReverse(entry) ? basePath + path : path)
    if (shape === undefined || !METHOD.test(method)) {
      this.#notes.add(`${caller} asks ${host} for ${method} ${path}, which no rule can name`)
      return false
    }
    if (!gathered.shapes.has(shape) && gathered.shapes.size >= MAX_SHAPES) {
      this.#notes.add(`${caller} asks ${host} for more paths than are looked at: write its rules by hand`)
      return false
    }
    const methods = gathered.shapes.get(shape) ?? new Set()
    gathered.shapes.set(shape, methods.add(method))
    return true
  }

  /** One holder after the other. */
  grants(): readonly SuggestedGrant[] {
    const byHolder = Map.groupBy(this.#all.values(), ({ terms }) => holderText(terms.holder))
    return [...byHolder.values()].flat().flatMap(grantOf)
  }

  #gatheredFor(terms: Terms): Gathered {
    const key = JSON.stringify([holderText(terms.holder), terms.connection, terms.until])
    const gathered = this.#all.get(key) ?? { terms, shapes: new Map(), hasUnread: false, hasOpened: false }
    this.#all.set(key, gathered)
    return gathered
  }
}

/** Lets a tunnel be opened and nothing be asked in it: what is asked there then is refused, recorded, and so suggested. */
const TUNNEL_ALONE: readonly Rule[] = [{ methods: ['CONNECT'] }]

function grantOf({ terms, shapes, hasUnread, hasOpened }: Gathered): readonly SuggestedGrant[] {
  const { holder, connection, until } = terms
  const grant = (rules: readonly Rule[] | undefined) => [{ ...holder, connection, rules, until }]
  if (hasUnread) return grant(undefined)
  const rules = rulesOf(shapes)
  if (rules.length > 0) return grant(rules)
  return hasOpened ? grant(TUNNEL_ALONE) : []
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

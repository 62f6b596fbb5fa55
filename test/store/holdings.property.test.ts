import {
  type AsyncCommand,
  assert,
  asyncModelRun,
  asyncProperty,
  commands,
  constantFrom,
  nat,
  option,
  string,
  tuple,
} from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import type { Holdings } from '../../src/core/holdings.ts'
import { type Store, StoreError } from '../../src/store/store.ts'
import { hasTool } from '../support/debian.ts'
import { makeDigest, open, type StorePlace, StorePlaces } from '../support/stores.ts'

const places = new StorePlaces()

afterAll(() => places.close())

/** What the store is to say, by the simplest of means. */
class Model {
  readonly callers = new Map<string, Set<string>>()
  readonly grants = new Map<string, { caller: string; connection: string }>()
  readonly switches = new Map<string, string | undefined>()
}

/** Two stores on one database, used in turns. */
interface Real {
  readonly stores: readonly Store[]
  readonly place: StorePlace
}

const NAMES = ['a', 'b', 'c']
const name = constantFrom(...NAMES)
const who = nat(1)

type Run = (model: Model, store: Store) => Promise<void>

/** One step, at either of the two. */
class Step implements AsyncCommand<Model, Real> {
  readonly #words: string
  readonly #who: number
  readonly #run: Run

  constructor(words: string, who: number, run: Run) {
    this.#words = words
    this.#who = who
    this.#run = run
  }

  check(): boolean {
    return true
  }

  async run(model: Model, { stores }: Real): Promise<void> {
    const store = stores[this.#who] as Store // of two
    await this.#run(model, store)
    // Who has made the change knows it at once, and with it all that was changed before, wherever that was.
    expect(seen(store.holdings())).toEqual(told(model))
  }

  toString(): string {
    return `${this.#words} at ${this.#who}`
  }
}

const steps = [
  tuple(who, name).map(([at, caller]) => new Step(`add caller ${caller}`, at, (...on) => addCaller(caller, ...on))),
  tuple(who, name).map(
    ([at, caller]) => new Step(`remove caller ${caller}`, at, (...on) => removeCaller(caller, ...on)),
  ),
  tuple(who, name).map(([at, caller]) => new Step(`rotate ${caller}`, at, (...on) => rotate(caller, ...on))),
  tuple(who, name, name).map(
    ([at, caller, to]) => new Step(`grant ${to} to ${caller}`, at, (...on) => grant(caller, to, ...on)),
  ),
  tuple(who, nat(5)).map(([at, nth]) => new Step(`revoke the ${nth}th`, at, (...on) => revoke(nth, ...on))),
  tuple(who, name, option(string(), { nil: undefined })).map(
    ([at, to, why]) => new Step(`disable ${to}`, at, (...on) => disable(to, why, ...on)),
  ),
  tuple(who, name).map(([at, to]) => new Step(`enable ${to}`, at, (...on) => enable(to, ...on))),
]

async function addCaller(caller: string, model: Model, store: Store): Promise<void> {
  const digest = makeDigest()
  const added = store.addCaller({ name: caller, createdBy: 'ops' }, { digest, expiresAt: undefined })
  if (model.callers.has(caller)) return expectCode(added, 'taken', store)
  await added
  model.callers.set(caller, new Set([digest]))
}

async function removeCaller(caller: string, model: Model, store: Store): Promise<void> {
  const removed = store.removeCaller(caller)
  if (!model.callers.has(caller)) return expectCode(removed, 'missing', store)
  await removed
  model.callers.delete(caller)
  for (const [id, one] of model.grants) if (one.caller === caller) model.grants.delete(id)
}

async function rotate(caller: string, model: Model, store: Store): Promise<void> {
  const digest = makeDigest()
  const rotated = store.rotateKey(caller, { digest, expiresAt: undefined }, Number.MAX_SAFE_INTEGER)
  const keys = model.callers.get(caller)
  if (!keys) return expectCode(rotated, 'missing', store)
  await rotated
  keys.add(digest)
}

async function grant(caller: string, connection: string, model: Model, store: Store): Promise<void> {
  const isKnownHere = store.holdings().callers.some((one) => one.name === caller)
  const made = store.addGrant({ holder: { caller }, connection, rules: [], until: undefined, createdBy: 'ops' })
  if (isKnownHere && !model.callers.has(caller)) return expectCode(made, 'missing', store)
  model.grants.set((await made).id, { caller, connection })
  await caughtUp(store)
}

async function revoke(nth: number, model: Model, store: Store): Promise<void> {
  const id = [...model.grants.keys()][nth] ?? 'nothing'
  expect((await store.removeGrants([id])).map((one) => one.id)).toEqual(model.grants.delete(id) ? [id] : [])
  await caughtUp(store)
}

async function disable(connection: string, reason: string | undefined, model: Model, store: Store): Promise<void> {
  await store.disable(connection, 'ops', reason)
  model.switches.set(connection, reason)
}

async function enable(connection: string, model: Model, store: Store): Promise<void> {
  expect(await store.enable(connection)).toBe(model.switches.delete(connection))
  await caughtUp(store)
}

async function expectCode(doing: Promise<unknown>, code: string, store: Store): Promise<void> {
  const error = await doing.catch((caught: unknown) => caught)
  expect(error instanceof StoreError && error.code).toBe(code)
  await caughtUp(store)
}

/** A step that changed nothing has read nothing either: one that does, brings what the other store did. */
async function caughtUp(store: Store): Promise<void> {
  await store.disable('always', 'ops', undefined)
  await store.enable('always')
}

function byText(one: unknown, other: unknown): number {
  return JSON.stringify(one) < JSON.stringify(other) ? -1 : 1
}

function told({ callers, grants, switches }: Model): object {
  return {
    callers: [...callers].map(([caller, keys]) => [caller, [...keys].sort()]).sort(byText),
    grants: [...grants].map(([id, { caller, connection }]) => [id, caller, connection]).sort(byText),
    switches: [...switches].sort(byText),
  }
}

function seen({ callers, grants, switches }: Holdings): object {
  return {
    callers: callers.map((one) => [one.name, one.keys.map(({ digest }) => digest).sort()]).sort(byText),
    grants: grants.map(({ id, holder, connection }) => [id, holder.caller, connection]).sort(byText),
    switches: switches.map(({ connection, reason }) => [connection, reason]).sort(byText),
  }
}

describe.each(['sqlite', 'postgres'] as const)('holdings in %s', (kind) => {
  test.skipIf(kind === 'postgres' && !hasTool('postgresql'))(
    'are what a plain map would hold, whoever of two changes them, and after all is closed and opened again',
    async () => {
      await assert(
        asyncProperty(commands(steps, { maxCommands: 25 }), async (script) => {
          const place = await places.make(kind)
          const settings = { pollMs: 50 }
          const stores = [await open(place, { settings }), await open(place, { settings })]
          const model = new Model()
          await asyncModelRun(() => ({ model, real: { stores, place } }), script)
          await Promise.all(stores.map((store) => store.close()))
          const again = await open(place)
          expect(seen(again.holdings())).toEqual(told(model))
          await again.close()
        }),
        { numRuns: kind === 'sqlite' ? 40 : 8 },
      )
    },
    240_000,
  )
})

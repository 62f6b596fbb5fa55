import { kindOfCaller, overlapsOf } from '../callers/registry.ts'
import type { SettingsFault } from './fault.ts'
import type { Settings } from './schema.ts'
import { unknown } from './unknown.ts'

/** Scopes that reach connections which are not there. */
export function scopeFaults({ callers, connections }: Settings): SettingsFault[] {
  return Object.entries(callers).flatMap(([caller, settings]) =>
    Object.entries(settings.kind === 'jwt' ? (settings.scopes ?? {}) : {}).flatMap(([scope, reach]) =>
      (reach.connections ?? []).flatMap((name, at) =>
        Object.hasOwn(connections, name)
          ? []
          : [
              {
                path: ['callers', caller, 'scopes', scope, 'connections', at],
                message: unknown('connection', name, connections),
              },
            ],
      ),
    ),
  )
}

/** Names that two could make; what is told of one is told of the other. */
export function sharedNames({ callers }: Settings): SettingsFault[] {
  return overlapsOf(callers).map(({ caller, other, sample }) => ({
    path: ['callers', caller, 'name'],
    message: `may make a name that ${other} may make, too, such as "${sample}", which then is refused: use a prefix of its own, or list namespaces`,
  }))
}

/** What is wrong with the caller that a grant names, with the form to use; undefined when it may exist. */
export function faultOfGrantee(name: string, { callers }: Settings): string | undefined {
  if (kindOfCaller(name, callers) !== undefined) return undefined
  return Object.hasOwn(callers, name)
    ? `use a name that its proofs make, or a group: nobody goes by "${name}" itself`
    : unknown('caller', name, callers)
}

/** Whose tokens callers show: a claim of one issuer says nothing of the same claim of another. */
export function issuersOf(callers: Settings['callers']): ReadonlySet<string | undefined> {
  return new Set(
    Object.values(callers).flatMap((caller) => {
      if (caller.kind === 'spiffe') return [`spiffe ${JSON.stringify(caller)}`]
      if (caller.kind === 'kubernetes') return [caller.issuer ?? caller.apiServer]
      return caller.kind === 'jwt' ? [caller.issuer] : []
    }),
  )
}

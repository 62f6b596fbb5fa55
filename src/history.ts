import { dirname, join } from 'node:path'
import { CandidateError, type PolicyHistory } from './admin/policy-history.ts'
import { ceilingOf } from './callers/ceiling-of.ts'
import { additionsOf } from './live.ts'
import type { Candidate } from './review/decide-again.ts'
import type { Present } from './review/present.ts'
import { parseRecorded, type Recorded } from './review/recorded.ts'
import { Replaying } from './review/replay.ts'
import { Suggesting } from './review/suggest.ts'
import { suggestionYaml } from './review/suggestion-yaml.ts'
import { faultOfGrantee } from './settings/caller-checks.ts'
import { SettingsError } from './settings/fault.ts'
import { type Loaded, parseSettings } from './settings/load.ts'
import { compilePolicy } from './settings/policy.ts'
import type { Settings } from './settings/schema.ts'
import type { Store } from './store/store.ts'

/** The asks that the store keeps, in the light of a policy; undefined where there is no store. `loaded`: as it is now. */
export function historyOf(loaded: () => Loaded, store: Store | undefined): PolicyHistory | undefined {
  if (!store) return undefined
  return {
    async replay(text, since) {
      const replaying = new Replaying(await candidateOf(text, join(dirname(loaded().file), 'candidate'), store))
      for await (const entry of asksIn(store, since)) replaying.take(entry)
      return replaying.end()
    },
    async suggest(since, aim) {
      const suggesting = new Suggesting(presentOf(loaded().settings, store), aim)
      for await (const entry of asksIn(store, since)) suggesting.take(entry)
      const suggestion = suggesting.end()
      return { yaml: suggestionYaml(suggestion), asks: suggestion.asks }
    },
  }
}

function presentOf(settings: Settings, store: Store): Present {
  return {
    ...candidateBy(settings, store),
    isDeclarable: (caller) => faultOfGrantee(caller, settings) === undefined,
  }
}

/** What operators have added stays when the settings are replaced. @throws CandidateError */
async function candidateOf(text: string, file: string, store: Store): Promise<Candidate> {
  try {
    return candidateBy((await parseSettings(text, file)).settings, store)
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error
    throw new CandidateError(error.lines.map((line) => line.replace(`${file}:`, '')))
  }
}

function candidateBy(settings: Settings, store: Store): Candidate {
  const injecting = Object.entries(settings.connections).filter(([, { credential }]) => credential.kind !== 'none')
  return {
    policy: compilePolicy(settings, additionsOf(store.holdings())),
    injecting: new Set(injecting.map(([name]) => name)),
    ceilingOf: (caller, scopes) => ceilingOf(caller, scopes, settings.callers),
  }
}

const PAGE = 1000

async function* asksIn(store: Store, since: number): AsyncGenerator<Recorded> {
  let cursor: string | undefined
  do {
    const page = await store.audit.find({ since, kind: 'ask', order: 'oldest', limit: PAGE, cursor })
    for (const { line } of page.lines) {
      const recorded = parseRecorded(line)
      if (recorded) yield recorded
    }
    cursor = page.cursor
  } while (cursor !== undefined)
}

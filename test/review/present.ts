import { ceilingOf } from '../../src/callers/ceiling-of.ts'
import type { Candidate } from '../../src/review/decide-again.ts'
import type { Present } from '../../src/review/present.ts'
import { faultOfGrantee } from '../../src/settings/caller-checks.ts'
import { loadSettings, parseSettings } from '../../src/settings/load.ts'
import { type Additions, compilePolicy } from '../../src/settings/policy.ts'
import type { Settings } from '../../src/settings/schema.ts'
import { DOOR } from '../support/settings-file.ts'

/** What is there today by these settings, and by what operators have added. */
export async function presentOf(yaml: string, additions?: Additions): Promise<Present> {
  const { settings } = await parseSettings(DOOR + yaml, 's.yaml')
  return {
    ...candidateOf(settings, additions),
    isDeclarable: (caller) => faultOfGrantee(caller, settings) === undefined,
  }
}

/** Settings as replay takes them. */
export async function candidateIn(file: string): Promise<Candidate> {
  return candidateOf((await loadSettings(file)).settings)
}

function candidateOf(settings: Settings, additions?: Additions): Candidate {
  const injecting = Object.entries(settings.connections).filter(([, { credential }]) => credential.kind !== 'none')
  return {
    policy: compilePolicy(settings, additions),
    injecting: new Set(injecting.map(([name]) => name)),
    ceilingOf: (caller, scopes) => ceilingOf(caller, scopes, settings.callers),
  }
}

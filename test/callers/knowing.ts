import type { CallerTools } from '../../src/callers/method.ts'
import { buildIdentify, type CallerSettings, callerSettings, faultsOfCallers } from '../../src/callers/registry.ts'
import type { Caller, Evidence } from '../../src/core/ask.ts'

/** Callers as a settings file says them. */
export type Callers = Readonly<Record<string, object>>

/** Asks who it is; nobody is told as the code and the reason. */
export function knowing(callers: Callers, tools: CallerTools): (evidence: Evidence) => Promise<Caller | string> {
  const identify = buildIdentify(parsed(callers), tools)
  return async (evidence) => {
    const found = await identify(evidence)
    return found.name === undefined ? `${found.code}: ${found.reason}` : found
  }
}

/** What is wrong with callers taken together. */
export function faultsAmong(callers: Callers): readonly string[] {
  return faultsOfCallers(parsed(callers)).map(({ caller, message }) => `${caller}: ${message}`)
}

/** What is wrong with the settings of one caller. */
export function faultsIn(caller: object): readonly string[] {
  return callerSettings.safeParse(caller).error?.issues.map(({ message }) => message) ?? []
}

function parsed(callers: Callers): Record<string, CallerSettings> {
  return Object.fromEntries(Object.entries(callers).map(([name, one]) => [name, callerSettings.parse(one)]))
}

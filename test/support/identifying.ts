import type { CallerTools } from '../../src/callers/method.ts'
import { buildIdentify, type CallerSettings } from '../../src/callers/registry.ts'
import type { Caller, Evidence } from '../../src/core/ask.ts'

/** Asks who it is, and gives nobody as undefined. */
export function identifying(
  callers: Readonly<Record<string, CallerSettings>>,
  tools: CallerTools,
): (evidence: Evidence) => Promise<Caller | undefined> {
  const identify = buildIdentify(callers, tools)
  return async (evidence) => {
    const found = await identify(evidence)
    return found.name === undefined ? undefined : found
  }
}

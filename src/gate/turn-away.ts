import type { Evidence } from '../core/ask.ts'
import type { Problem } from '../core/problem.ts'
import { identify } from './admit.ts'
import { type RefusingAnswer, recorded } from './exchange.ts'
import type { Gate } from './gate.ts'
import { type Asked, Trace } from './trace.ts'

type Refusing = Pick<RefusingAnswer, 'refuse'>

/** Answers what cannot become an ask, and records it like every other. */
export function turnAway(asked: Asked, problem: Problem, answer: Refusing, gate: Gate): Promise<void> {
  return recorded(new Trace(asked, gate.clock, gate.tracing), answer, gate, () => Promise.reject(problem))
}

/** The same for what is refused whoever asks, after asking who: a caller that shows no proof learns nothing more. */
export function turnAwayKnown(
  asked: Asked & { readonly evidence: Evidence },
  problem: Problem,
  answer: Refusing,
  gate: Gate,
): Promise<void> {
  const trace = new Trace(asked, gate.clock, gate.tracing)
  return recorded(trace, answer, gate, async () => {
    await identify(asked.evidence, { trace, gate })
    throw problem
  })
}

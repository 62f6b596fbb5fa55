import { Readable } from 'node:stream'
import type { Ask } from '../core/ask.ts'
import { Problem } from '../core/problem.ts'
import type { Incoming } from '../relay/answer.ts'
import { Slots } from '../relay/slots.ts'
import { wholeBody } from '../relay/whole-body.ts'
import type { Fault } from '../wire/framing.ts'
import { identify, type Where } from './admit.ts'
import { type Asking, pass, type RefusingAnswer, recorded } from './exchange.ts'
import type { Gate } from './gate.ts'
import { Trace } from './trace.ts'

/** What a body says is asked for; the rest is that of the request that brought it. */
export interface Enclosed extends Pick<Ask, 'method' | 'target' | 'path' | 'query' | 'fields'> {
  /** To be sent upstream. */
  readonly body: Buffer | undefined
}

/** Reads what is asked for out of a whole body. Pure. */
export type Unfold = (body: Buffer) => Enclosed | Fault

const BOUNDS = { maxBytes: 1024 * 1024, timeoutMs: 30_000 }
/** Of each caller at once: what is read here is held in memory. */
const reading = new Slots(32, 'bodies to read first')

/**
 * The path of an ask that stands in the body of another request. Nothing of the body is read before it is known who sends
 * it; what it asks for then goes the way of every other ask, from the question who asks on. Never rejects, records once.
 */
export async function exchangeEnclosed(
  { ask: outer, incoming, unfold }: Asking & { readonly unfold: Unfold },
  answer: RefusingAnswer,
  gate: Gate,
): Promise<void> {
  const trace = new Trace(outer, gate.clock, gate.tracing)
  await recorded(trace, answer, gate, async () => {
    const enclosed = unfold(await readFirst({ ask: outer, incoming }, { trace, gate }))
    if ('code' in enclosed) throw new Problem(enclosed.code, { reason: enclosed.reason })
    const { body, ...asked } = enclosed
    const ask = { ...outer, ...asked }
    trace.unfolded(ask)
    await pass({ ask, incoming: incomingOf(body) }, answer, { trace, gate })
  })
}

async function readFirst({ ask, incoming }: Asking, where: Where): Promise<Buffer> {
  const { name } = await identify(ask.evidence, where)
  const leave = reading.take(name)
  try {
    return await wholeBody(incoming, BOUNDS)
  } finally {
    leave()
  }
}

function incomingOf(body: Buffer | undefined): Incoming {
  const framing = body === undefined ? ({ body: 'none' } as const) : ({ body: 'length', length: body.length } as const)
  return { framing, stream: Readable.from(body === undefined ? [] : [body]), proceed: () => undefined }
}

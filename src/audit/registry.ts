import { buildKind, kindUnion } from '../forms/kind.ts'
import type { z } from '../forms/zod.ts'
import { jsonLines } from './json-lines.ts'
import type { Sink, SinkTools } from './sink.ts'

/** Every place that entries can go to. */
export const sinkKinds = { 'json-lines': jsonLines }

/** Settings of one sink. */
export const sinkSettings = kindUnion(sinkKinds, 'Sink')

/** Builds what the settings describe. */
export function buildSink(settings: z.infer<typeof sinkSettings>, tools: SinkTools): Sink {
  return buildKind<SinkTools, Sink>(sinkKinds, settings, tools)
}

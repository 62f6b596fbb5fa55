import { buildKind, type Dialled, type Kind, kindUnion } from '../forms/kind.ts'
import type { z } from '../forms/zod.ts'
import { jsonLines } from './json-lines.ts'
import { otlp } from './otlp.ts'
import type { Sink, SinkTools } from './sink.ts'
import { store } from './store.ts'

/** Every place that entries can go to. */
export const sinkKinds = { 'json-lines': jsonLines, store, otlp }

/** Settings of one sink. */
export const sinkSettings = kindUnion(sinkKinds, 'Sink')
export type SinkSettings = z.infer<typeof sinkSettings>

/** The servers that a sink sends to. */
export function dialledBySink(settings: SinkSettings): Dialled {
  const kind: Pick<Kind<z.ZodObject, SinkTools, Sink>, 'dials'> = sinkKinds[settings.kind]
  return kind.dials?.(settings) ?? []
}

/** Builds what the settings describe. @throws Error in words, when there is no place for what it is to keep */
export function buildSink(settings: SinkSettings, tools: SinkTools): Sink {
  return buildKind<SinkTools, Sink>(sinkKinds, settings, tools)
}

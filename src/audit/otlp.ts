import type { AuditLine } from '../core/audit-line.ts'
import type { Kind } from '../forms/kind.ts'
import type { Collector } from '../otlp/collector.ts'
import { openCollector } from '../otlp/open.ts'
import { Delivery } from './delivery.ts'
import { exportRequest } from './otlp-records.ts'
import { type OtlpSettings, otlpSettings } from './otlp-settings.ts'
import type { Sink, SinkTools } from './sink.ts'

/** How long a batch that is not full waits for more. */
const TICK_MS = 1_000

/** Log records for a collector, in the background. What it says it has taken is not known again: it is asked for nothing. */
export const otlp: Kind<typeof otlpSettings, SinkTools, Sink> = {
  schema: otlpSettings,
  dials: ({ endpoint: url, allowPrivate }) => [{ url, what: 'collector', allowPrivate }],
  build: (settings, tools) => new Otlp(settings, tools),
}

class Otlp extends Delivery {
  readonly #collector: Collector

  constructor(settings: OtlpSettings, tools: SinkTools) {
    const collector = openCollector(settings, 'logs', tools)
    const resource = { 'service.name': 'sallyport', 'service.instance.id': tools.instance, ...settings.resource }
    const route = {
      send: (lines: readonly AuditLine[]) => collector.send(exportRequest(lines, resource, Date.now()), lines.length),
      latest: async () => undefined,
      maxLines: settings.maxBatch,
      tickMs: TICK_MS,
    }
    super(route, tools)
    this.#collector = collector
  }

  override async close(): Promise<void> {
    await super.close()
    await this.#collector.close()
  }
}

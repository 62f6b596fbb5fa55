import { Registry } from 'prom-client'
import { Departed, NOBODY_LEAVES } from './departed.ts'

/** Lines that are printed before requests get their turn: 0.5 ms of them. */
const STEP_LINES = 100

type Printed = Awaited<ReturnType<NonNullable<ReturnType<Registry['getSingleMetric']>>['get']>>

/**
 * A registry whose scrape gives way to requests all the time: prom-client prints everything in one go, which blocks the
 * event loop for 26 ms for each 300 series of a histogram. All who ask meanwhile share one scrape, so that whoever scrapes
 * in a loop costs no more than one at a time.
 */
export class SteppedRegistry extends Registry {
  readonly #departed: Departed
  #scrape: Promise<string> | undefined

  /** `departed`: whose series are to go. */
  constructor(departed = new Departed(NOBODY_LEAVES)) {
    super()
    this.#departed = departed
  }

  override metrics(): Promise<string> {
    this.#scrape ??= this.#step().finally(() => (this.#scrape = undefined))
    return this.#scrape
  }

  async #step(): Promise<string> {
    const lines: string[] = []
    for (const { name } of this.getMetricsAsArray()) {
      const metric = await this.getSingleMetric(name)?.get()
      if (metric) await print({ ...metric, values: this.#withoutDeparted(metric) }, lines)
    }
    this.#departed.swept()
    return lines.join('')
  }

  /** In the turn in which they were read: what is counted a moment later begins anew, and is told. */
  #withoutDeparted({ name, values }: Printed): Printed['values'] {
    const over = values.filter(({ labels }) => this.#departed.isOver(labels))
    if (over.length === 0) return values
    const metric = this.getSingleMetric(name)
    // The buckets of a histogram go with the rest of it; what is read at the scrape alone is kept nowhere.
    if (metric && 'remove' in metric) for (const { labels } of over) if (!('le' in labels)) metric.remove(labels)
    const gone = new Set(over)
    return values.filter((one) => !gone.has(one))
  }
}

/** @see https://prometheus.io/docs/instrumenting/exposition_formats/ of text, version 0.0.4 */
async function print({ name, help, type, values }: Printed, lines: string[]): Promise<void> {
  lines.push(`# HELP ${name} ${help}\n# TYPE ${name} ${String(type)}\n`)
  for (const [index, one] of values.entries()) {
    const labels = Object.entries(one.labels).map(([label, value]) => `${label}="${escaped(String(value))}"`)
    // The series of a histogram have names of their own.
    const series = 'metricName' in one ? String(one.metricName) : name
    lines.push(`${series}${labels.length > 0 ? `{${labels.join(',')}}` : ''} ${textOf(one.value)}\n`)
    if (index % STEP_LINES === STEP_LINES - 1) await turn()
  }
  await turn()
}

function turn(): Promise<void> {
  return new Promise((done) => setImmediate(done))
}

function escaped(text: string): string {
  return /["\\\n]/.test(text) ? text.replace(/["\\\n]/g, (char) => (char === '\n' ? '\\n' : `\\${char}`)) : text
}

function textOf(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  return Number.isFinite(value) ? String(value) : `${value < 0 ? '-' : '+'}Inf`
}

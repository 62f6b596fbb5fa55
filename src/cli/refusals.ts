import type { Entry } from '../audit/entry.ts'
import { problems } from '../core/problems.ts'

/** More of them say no more. */
const MOST = 8

interface Row {
  readonly host: string
  readonly code: string
  readonly times: number
}

/** What a sidecar said no to, for whoever ran the command: each host and code once. */
export class Refusals {
  readonly #rows = new Map<string, Row>()
  #others = 0

  take({ host = 'a request without a host', code, caller }: Entry): void {
    // Some clients show their key only when they are asked for it.
    if (caller !== undefined) this.#rows.delete(nameOf(host, 'caller-unknown'))
    if (code === undefined) return
    const name = nameOf(host, code)
    const { times } = this.#rows.get(name) ?? { times: 0 }
    if (times === 0 && this.#rows.size === MOST) this.#others++
    else this.#rows.set(name, { host, code, times: times + 1 })
  }

  /** A line for each, and one that says where all of it is recorded; none where nothing was refused. */
  lines(recordedIn: string | undefined): readonly string[] {
    if (this.#rows.size === 0) return []
    const more = this.#others === 0 ? [] : [`and ${this.#others} more requests, for other hosts or reasons`]
    const where = recordedIn === undefined ? [] : [`recorded in ${recordedIn}`]
    return [...[...this.#rows.values()].map(inWords), ...more, ...where].map((line) => `sallyport: ${line}`)
  }
}

function nameOf(host: string, code: string): string {
  return `${code} ${host}`
}

function inWords({ host, code, times }: Row): string {
  const often = times === 1 ? '' : ` ${times} times`
  const remedy = code in problems ? `: ${problems[code as keyof typeof problems].remedy}` : ''
  return `refused${often}: ${printable(host)}, ${code}${remedy}`
}

/** What a command asked for goes to a terminal. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?')
}

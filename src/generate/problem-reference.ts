import type { Blame } from '../core/problem-row.ts'
import { problems } from '../core/problems.ts'
import { code, prose, table } from './markdown.ts'
import { texts } from './prose.ts'

const WHO: Readonly<Record<Blame, string>> = {
  caller: 'the caller',
  operator: 'the operator',
  upstream: 'the upstream or the issuer',
  proxy: 'Sallyport',
}

/** Every way in which Sallyport says no, by status, as Markdown. */
export function problemReference(): string {
  const rows = Object.entries(problems)
    .sort(([, one], [, other]) => one.status - other.status)
    .map(([name, { status, title, blame, remedy }]) => [
      code(name),
      String(status),
      prose(title),
      WHO[blame],
      prose(remedy),
    ])
  return `${texts.problems}\n\n${table(['code', 'status', 'title', 'who has to act', 'what to do'], rows)}\n`
}

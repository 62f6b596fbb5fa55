import type { Rule } from '../core/rule.ts'
import { inShell } from '../forms/in-shell.ts'

const ANYTHING: Rule = {}

/** What grants it while Sallyport runs, a line a rule; undefined: no such line says it. */
export function grantCommands(
  caller: string,
  connection: string,
  rules: readonly Rule[] | undefined,
): readonly string[] | undefined {
  const all = rules ?? [ANYTHING]
  // The verb takes lists that commas part.
  const isSayable = [caller, ...all.flatMap(({ paths = [] }) => paths)].every((word) => /^[!-+\--~]+$/.test(word))
  if (!isSayable) return undefined
  return all.map(({ methods, paths }) =>
    [
      `sallyport grant ${inShell(connection)} --to ${inShell(caller)}`,
      ...(methods ? [`--methods ${methods.join(',')}`] : []),
      ...(paths ? [`--paths ${inShell(paths.join(','))}`] : []),
    ].join(' '),
  )
}

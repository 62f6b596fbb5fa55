import { inWords } from '../forms/words.ts'
import type { z } from '../forms/zod.ts'
import { type InputFault, inputInvalid } from './admin-problem.ts'
import type { Description } from './route.ts'

/** The parts of a request as they came. */
export interface RawInput {
  readonly params: Readonly<Record<string, string>>
  /** Each name with all of its values. */
  readonly query: Readonly<Record<string, readonly string[]>>
  readonly body: unknown
}

/** The same, as the schemas of the route have found them to be. */
export interface Input {
  readonly params: object
  readonly query: object
  readonly body: object
}

/**
 * Everything that is wrong, at once.
 * @throws AdminProblem `input-invalid`
 */
export function parseInput(route: Description, raw: RawInput): Input {
  const faults: InputFault[] = []
  const params = part(route.params, raw.params, parameterFault, faults)
  const query = part(route.query, singles(raw.query, faults), parameterFault, faults)
  const isAbsent = raw.body === undefined && route.isBodyOptional
  const body = route.body ? part(route.body, isAbsent ? {} : raw.body, bodyFault, faults) : {}
  if (faults.length > 0) throw inputInvalid(faults)
  return { params, query, body }
}

type ToFault = (path: readonly PropertyKey[], detail: string) => InputFault

function part(schema: z.ZodObject, value: unknown, toFault: ToFault, faults: InputFault[]): object {
  const parsed = schema.safeParse(value, { error: inWords, reportInput: false })
  if (parsed.success) return parsed.data
  // One slip can break several checks of one value; the first says enough.
  const byPlace = new Map<string, InputFault>()
  for (const { pointer, detail } of parsed.error.issues.flatMap((issue) => faultsOf(issue, toFault))) {
    if (!byPlace.has(pointer)) byPlace.set(pointer, { pointer, detail })
  }
  faults.push(...byPlace.values())
  return {}
}

function faultsOf(issue: z.core.$ZodIssue, toFault: ToFault): InputFault[] {
  if (issue.code !== 'unrecognized_keys') return [toFault(issue.path, issue.message)]
  return issue.keys.map((key) => toFault([...issue.path, key], issue.message))
}

function parameterFault(path: readonly PropertyKey[], detail: string): InputFault {
  return { pointer: shortened(path.map(String).join('.')), detail }
}

/** @see RFC 6901 section 6 */
function bodyFault(path: readonly PropertyKey[], detail: string): InputFault {
  const tokens = path.map((key) => `/${encodeURIComponent(String(key).replaceAll('~', '~0').replaceAll('/', '~1'))}`)
  return { pointer: shortened(`#${tokens.join('')}`), detail }
}

/** A key that nobody knows may be of any length, and holds whatever somebody put in the wrong place. */
function shortened(pointer: string): string {
  return pointer.length <= 200 ? pointer : `${pointer.slice(0, 199)}…`
}

function singles(query: RawInput['query'], faults: InputFault[]): Readonly<Record<string, string | undefined>> {
  for (const [name, values] of Object.entries(query)) {
    if (values.length > 1) faults.push({ pointer: shortened(name), detail: 'give it once' })
  }
  return Object.fromEntries(Object.entries(query).map(([name, [value]]) => [name, value]))
}

import type { ProblemCode } from './problem.ts'

/** No, with a stable code for programs and a reason in words for people. */
export interface Refusal {
  readonly permitted: false
  readonly code: ProblemCode
  readonly reason: string
  readonly connection?: string
  readonly grant?: string
}

/** A refusal, with what is known of where it came from. */
export function refuse(
  code: ProblemCode,
  reason: string,
  where: { connection?: string; grant?: string } = {},
): Refusal {
  return { permitted: false, code, reason, ...where }
}

import { accessProblems } from './problems-of-access.ts'
import { requestProblems } from './problems-of-request.ts'
import { tunnelProblems } from './problems-of-tunnel.ts'
import { upstreamProblems } from './problems-of-upstream.ts'

/** Every way in which Sallyport itself says no. Codes are stable and never reused; config/problems.md is made from this. */
export const problems = { ...requestProblems, ...accessProblems, ...tunnelProblems, ...upstreamProblems }

/** Stable names for programs. */
export type ProblemCode = keyof typeof problems

import { Problem } from '../core/problem.ts'
import { NoReply, type Question, type Reply, type Route, requestOnce } from '../wire/request-once.ts'
import { OutcomeUnseen } from './refusal.ts'

/** How an authorization server is reached. */
export type IssuerRoute = Route

/** An answer as it came. The body is an issuer's text: it may hold a token, and is printed nowhere. */
export type IssuerAnswer = Reply

/**
 * One request to an authorization server, on a connection of its own.
 * @throws Problem `credential-unavailable` when the issuer cannot be reached or does not answer in time,
 * `credential-failed` when it is not who it should be, or its answer is not HTTP
 */
export async function exchange(route: IssuerRoute, question: Question): Promise<IssuerAnswer> {
  try {
    return await requestOnce(route, question)
  } catch (error) {
    throw error instanceof NoReply ? problemOf(error) : error
  }
}

/** The cause is the dial's own Problem, where the dial was what failed. */
function problemOf({ message: reason, isLasting, cause }: NoReply): Problem {
  // Of a dial that failed nothing has left.
  const Outcome = cause instanceof Problem ? Problem : OutcomeUnseen
  if (isLasting) return new Outcome('credential-failed', { reason, cause, retryAfter: 1 })
  return new Outcome('credential-unavailable', { reason, cause })
}

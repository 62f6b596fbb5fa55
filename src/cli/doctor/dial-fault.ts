import type { Problem, ProblemCode } from '../../core/problem.ts'
import { codeOf } from '../../wire/opening.ts'
import type { Told } from './finding.ts'

/** What the settings of a dial say, and where they are: `connections.crm`. */
export interface Dialled {
  readonly host: string
  readonly place: string
}

/** A dial that failed, in words, and what to write where. */
export function dialFault(problem: Problem, dialled: Dialled): Pick<Told, 'says' | 'remedy'> {
  return { says: problem.reason, remedy: REMEDIES[problem.code]?.(dialled, problem) ?? problem.row.remedy }
}

const REMEDIES: Partial<Record<ProblemCode, (dialled: Dialled, problem: Problem) => string>> = {
  'upstream-unresolved': ({ host }) =>
    `correct the name, or name a resolver in dns.servers, or add to the settings: dns: { hosts: { ${host}: [ADDRESS] } }`,
  'address-not-allowed': ({ place }) =>
    `if it is meant to be there, add to ${place}: allowPrivate: [RANGE], as in ["10.20.0.0/16"]`,
  'upstream-unreachable': ({ host, place }) => `start ${host}, open the way to it, or correct the port at ${place}`,
  'upstream-untrusted': ({ place }, { cause }) =>
    codeOf(cause) === 'ERR_TLS_CERT_ALTNAME_INVALID'
      ? `use a name at ${place} that its certificate is for`
      : `if its authority is a private one, add to ${place}: tls: { ca: { file: PATH } }`,
  'upstream-timeout': ({ host, place }) => `open the way to ${host}, or allow more time at ${place}`,
  'loop-detected': ({ place }) => `correct the host or the port at ${place}: it is a listener of this Sallyport`,
}

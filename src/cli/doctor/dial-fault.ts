import type { Problem, ProblemCode } from '../../core/problem.ts'
import { codeOf } from '../../wire/opening.ts'
import { NO_TLS } from '../../wire/tls.ts'
import { inTwo, type Told } from './finding.ts'

/** What the settings of a dial say, and where they are: `connections.crm`. */
export interface Dialled {
  readonly host: string
  readonly place: string
  /** The file of tls.ca there, as the settings have it; undefined: the public authorities. */
  readonly authorities: string | undefined
}

/** A dial that failed, in words, and what to write where. */
export function dialFault(problem: Problem, dialled: Dialled): Pick<Told, 'says' | 'remedy'> {
  const says = codeOf(problem.cause) === NO_TLS ? inTwo(problem.reason).says : problem.reason
  return { says, remedy: REMEDIES[problem.code]?.(dialled, problem) ?? problem.row.remedy }
}

const REMEDIES: Partial<Record<ProblemCode, (dialled: Dialled, problem: Problem) => string>> = {
  'upstream-unresolved': ({ host }) =>
    `correct the name, or name a resolver in dns.servers, or add to the settings: dns: { hosts: { ${host}: [ADDRESS] } }`,
  'address-not-allowed': ({ place }) =>
    `if it is meant to be there, add to ${place}: allowPrivate: [RANGE], as in ["10.20.0.0/16"]`,
  'upstream-unreachable': ({ host, place }) => `start ${host}, open the way to it, or correct the port at ${place}`,
  'upstream-untrusted': (dialled, { cause }) => untrusted(dialled, codeOf(cause)),
  'upstream-timeout': ({ host, place }) => `open the way to ${host}, or allow more time at ${place}`,
  'loop-detected': ({ place }) => `correct the host or the port at ${place}: it is a listener of this Sallyport`,
}

/** @see https://docs.openssl.org/3.5/man3/X509_STORE_CTX_get_error/ for the codes, which Node gives without their X509_V_ERR_ */
function untrusted({ host, place, authorities }: Dialled, code: string): string {
  if (code === 'CERT_HAS_EXPIRED') return `whoever runs ${host} has to renew its certificate`
  if (code === 'CERT_NOT_YET_VALID')
    return `whoever runs ${host} has to renew its certificate, unless it is the clock of this machine that is behind`
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return `use a name at ${place} that its certificate is for`
  if (code === 'TLS_VERSION') return `whoever runs ${host} has to offer TLS 1.2 or later`
  if (code === NO_TLS) return `correct the port at ${place}, or ask whoever runs ${host} to turn TLS on there`
  if (!CHAIN.test(code))
    return `correct the port at ${place}, or ask whoever runs ${host}: what answers does not speak TLS`
  return authorities === undefined
    ? `if its authority is a private one, add to ${place}: tls: { ca: { file: PATH } }`
    : `the authority in ${authorities} is not the one that signed its certificate: name the one that did at ${place}.tls.ca`
}

/** No chain from what the peer showed to what we believe. */
const CHAIN = /SELF_SIGNED|ISSUER|VERIFY_LEAF|UNTRUSTED|INVALID_CA|SIGNATURE_FAILURE|CHAIN|PATH_LENGTH|PURPOSE|REJECTED/

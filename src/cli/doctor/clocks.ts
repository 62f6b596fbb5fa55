import type { RequestOptions } from 'node:http'
import { Problem } from '../../core/problem.ts'
import type { IssuerSettings } from '../../credentials/registry.ts'
import { toBlockList } from '../../forms/network.ts'
import type { References } from '../../secrets/reference.ts'
import type { Destination } from '../../wire/dial.ts'
import { http } from '../../wire/node-http.ts'
import { trustOf } from '../../wire/trust.ts'
import { responseTo } from './admin.ts'
import type { Told } from './finding.ts'
import type { Site } from './site.ts'

const NOTICED_S = 30
/** Half of what a token lives at many issuers, and more than any of them lets a signed assertion be off. */
const UNBEARABLE_S = 300

/** An issuer whose clock is to be read. */
export interface Issuer {
  readonly subject: string
  readonly url: URL
  readonly credential: IssuerSettings
  readonly references: References
}

/** Our clock against that of an issuer, as its answer to a request without any proof dates itself. */
export async function clockTold(issuer: Issuer, site: Site, signal: AbortSignal): Promise<readonly Told[]> {
  const { subject, url } = issuer
  const ahead = await secondsAhead(issuer, site, signal)
  // That it cannot be reached has been told already, with the mint that failed.
  if (ahead === undefined) return [{ subject, state: 'skipped', says: 'no answer that its clock could be read from' }]
  const off = Math.abs(ahead)
  const says = `the clock of this machine is ${off} s ${ahead > 0 ? 'ahead of' : 'behind'} ${url.host}`
  if (off <= NOTICED_S) return [{ subject, state: 'ok', says }]
  return [{ subject, state: off > UNBEARABLE_S ? 'failed' : 'warning', says, remedy: NTP }]
}

const NTP = 'set the clock by NTP, as by `timedatectl set-ntp true`; should it be right, it is the issuer that is wrong'

/** Undefined: it gave no time, or no answer. To whole seconds, which is all that the Date field has. */
async function secondsAhead(issuer: Issuer, { dialer, clock }: Site, signal: AbortSignal): Promise<number | undefined> {
  try {
    const socket = await dialer.dial(destinationOf(issuer), signal)
    const sentAt = clock.now()
    // With an agent, whose connections are its own, `createConnection` would have no say.
    const asked = http.get({ ...requestFor(issuer.url), createConnection: () => socket, signal })
    const { headers } = await responseTo(asked).finally(() => socket.destroy())
    const between = (sentAt + clock.now()) / 2
    const theirs = Date.parse(headers.date ?? '')
    return Number.isNaN(theirs) ? undefined : Math.round((between - theirs - HALF_A_SECOND) / 1000)
  } catch (error) {
    if (error instanceof Problem || !signal.aborted) return undefined
    throw error
  }
}

/** What the Date field leaves out, on average. */
const HALF_A_SECOND = 500

function requestFor({ host, pathname, search }: URL): RequestOptions {
  return { path: `${pathname}${search}`, headers: { host, connection: 'close' } }
}

function destinationOf({ url, credential, references }: Issuer): Destination {
  const isPlaintext = url.protocol === 'http:'
  const { tls, allowPrivate, timeoutMs } = credential
  return {
    host: url.hostname,
    port: Number(url.port) || (isPlaintext ? 80 : 443),
    tls: isPlaintext ? 'plaintext' : trustOf(tls.ca && references.file(tls.ca)),
    allowPrivate: toBlockList(allowPrivate),
    timeoutMs,
  }
}

import { Problem } from '../../core/problem.ts'
import { issuerSettings, keepsTokens } from '../../credentials/registry.ts'
import type { Connection } from '../../gate/snapshot.ts'
import { urlOf } from '../../oauth/endpoint-settings.ts'
import { UnfitProof } from '../../oauth/refusal.ts'
import { clockTold } from './clocks.ts'
import { type Dialled, dialFault } from './dial-fault.ts'
import { examine, examineAll, inTwo, type Told } from './finding.ts'
import type { Inspected, Site } from './site.ts'
import { closed } from './upstreams.ts'

/** Whether every issuer gives a token, asked just as the sidecar would ask, and whether its clock agrees with ours. */
export function examineIssuers(site: Site): Promise<readonly Told[]> {
  return examineAll(site.connections, (inspected) => examineIssuer(inspected, site))
}

async function examineIssuer({ name, settings, opened }: Inspected, site: Site): Promise<readonly Told[]> {
  const credential = issuerSettings(settings.credential)
  if (!credential) return []
  const url = urlOf(credential)
  const subject = `${name} ${url.host}`
  if (!opened) return [closed(subject)]
  // The mint has a limit of its own, which says more.
  const at = { host: url.hostname, place: `connections.${name}.credential`, authorities: credential.tls.ca?.file }
  const token = keepsTokens(settings.credential)
    ? [kept(subject)]
    : examine(subject, () => mint(subject, at, opened.connection), credential.timeoutMs + 1_000)
  const clock = examine(subject, (signal) => clockTold({ subject, url, credential, ...opened }, site, signal))
  return [...(await token), ...(await clock)]
}

/** What the doctor got, the sidecar would not have: a refresh token may be good for one time alone. */
function kept(subject: string): Told {
  return {
    subject,
    state: 'skipped',
    says: 'its refresh token is the sidecar’s alone to spend; see the check "sidecar"',
  }
}

async function mint(subject: string, at: Dialled, { supply }: Connection): Promise<Told> {
  if (supply.state().separate !== undefined) return { subject, state: 'skipped', says: EACH_ITS_OWN }
  try {
    await supply.obtain()
    return { subject, state: 'ok', says: `a token for ${secondsOf(supply.state())} s` }
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    return { subject, state: 'failed', ...faultOf(error, at) }
  }
}

const EACH_ITS_OWN = 'each caller has a credential of its own here, and nobody asks just now'

function secondsOf({ mintedAt = 0, expiresAt = 0 }: ReturnType<Connection['supply']['state']>): number {
  return Math.round((expiresAt - mintedAt) / 1000)
}

/** What failed is the way there or what we have to show, each with a remedy of its own, or what was said on the way. */
function faultOf(problem: Problem, at: Dialled): Pick<Told, 'says' | 'remedy'> {
  if (problem.cause instanceof Problem) return dialFault(problem.cause, at)
  if (problem.cause instanceof UnfitProof) return inTwo(problem.reason)
  const remedy =
    problem.code === 'credential-failed'
      ? `compare clientId, clientSecret, clientAuth, scope and tokenParams of ${at.place} with what ${at.host} has registered`
      : `try again: ${at.host} does not answer as it should just now`
  return { says: problem.reason, remedy }
}

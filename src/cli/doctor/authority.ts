import { X509Certificate } from 'node:crypto'
import { dirname } from 'node:path'
import { authorityOf, type CertificateAuthority } from '../../ca/authority.ts'
import { readIdentity } from '../../ca/directory.ts'
import { isConstrainedTo } from '../../ca/name-constraints.ts'
import { inShell } from '../../forms/in-shell.ts'
import { caPlace, interceptedHosts } from '../../settings/policy.ts'
import type { Told } from './finding.ts'
import { publishedTold } from './published.ts'
import type { Site } from './site.ts'
import { expiry } from './words.ts'

/** The authority of the settings, as it is on the disk; nothing is created and nothing is written. */
export interface Found {
  /** What apps are to trust. */
  readonly bundle: string
  /** PEM of it. */
  readonly certificate: string
  /** Undefined: it has ended, or is not for the hosts that are intercepted. */
  readonly authority: CertificateAuthority | undefined
  readonly told: readonly Told[]
}

/** @throws Error in words, where there is no authority that could be used */
export async function findAuthority({ loaded, clock }: Site, ca: Parameters<typeof caPlace>[0]): Promise<Found> {
  const place = caPlace(ca, dirname(loaded.file))
  const { owner, ...root } = await readIdentity(place.directory)
  const certificate = root.cert
  const hosts = interceptedHosts(loaded.settings)
  const authority = await authorityOf(root, { hosts, now: () => clock.now() })
  const rotate = `sallyport ca rotate --config ${inShell(loaded.file)}`
  const fitness = [
    ...ownerTold(place.directory, owner),
    ageOf(place.directory, certificate, { now: clock.now(), rotate }),
    await fitOf(place.directory, certificate, { hosts, rotate }),
  ]
  const isFit = fitness.every(({ state }) => state !== 'failed')
  const { bundle } = place
  const published = await publishedTold({ bundle, certificate, config: loaded.file, settings: loaded.settings })
  return { bundle, certificate, authority: isFit ? authority : undefined, told: [...fitness, ...published] }
}

/** Root may look at what is another's: the service's own, where systemd makes up its user. */
function ownerTold(subject: string, owner: number | undefined): readonly Told[] {
  if (owner === process.geteuid?.()) return []
  return [
    {
      subject,
      state: 'ok',
      says: `belongs to uid ${owner} alone, which is right where Sallyport runs as that user, or systemd maps it to its own`,
    },
  ]
}

function ageOf(subject: string, certificate: string, { now, rotate }: { now: number; rotate: string }): Told {
  const { state, says } = expiry(new X509Certificate(certificate).validToDate.getTime(), now)
  return { subject, state, says: `the authority ${says}`, ...(state !== 'ok' && { remedy: rotate }) }
}

interface Scope {
  readonly hosts: readonly string[]
  readonly rotate: string
}

async function fitOf(subject: string, certificate: string, { hosts, rotate }: Scope): Promise<Told> {
  if (await isConstrainedTo(hosts, certificate))
    return { subject, state: 'ok', says: 'the authority may vouch for every host that is intercepted' }
  return {
    subject,
    state: 'failed',
    says: 'the authority was made for other hosts than are intercepted',
    remedy: rotate,
  }
}

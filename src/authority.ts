import { dirname } from 'node:path'
import { type AuthorityTerms, type CertificateAuthority, ephemeralAuthority } from './ca/authority.ts'
import { openAuthority } from './ca/directory.ts'
import { namingSettings } from './ca/root-file.ts'
import type { Clock } from './core/clock.ts'
import { FileReference } from './forms/network.ts'
import type { References } from './secrets/reference.ts'
import { pathText } from './settings/fault.ts'
import type { Loaded } from './settings/load.ts'
import { referencesIn } from './settings/open.ts'
import { caPlace, interceptedHosts } from './settings/policy.ts'
import type { Logger } from './telemetry/logger.ts'
import { holdsCertificate } from './wire/trust.ts'

interface Tools {
  readonly references: References
  readonly clock: Clock
  readonly log: Logger
}

const SOON_MS = 30 * 86_400_000

/**
 * The authority of these settings, whose certificates are good for the intercepted hosts alone; undefined where nothing is
 * intercepted, and nothing is loaded for it then.
 * @throws Error in words
 */
export async function openAuthorityFor(loaded: Loaded, tools: Tools): Promise<CertificateAuthority | undefined> {
  const { ca } = loaded.settings
  const terms = { hosts: interceptedHosts(loaded.settings), now: () => tools.clock.now() }
  if (ca === undefined || terms.hosts.length === 0) return undefined
  const authority = ca === 'ephemeral' ? await ephemeralAuthority(terms) : await openKept(ca, loaded.file, terms)
  refuseOwnTrust(loaded, authority, tools.references)
  if (authority.expiresAt - tools.clock.now() < SOON_MS)
    tools.log.warn({ file: loaded.file }, 'the authority expires within 30 days: run `sallyport ca rotate`')
  return authority
}

async function openKept(ca: Parameters<typeof caPlace>[0], file: string, terms: AuthorityTerms) {
  try {
    return await openAuthority(caPlace(ca, dirname(file)), terms)
  } catch (error) {
    throw error instanceof Error ? new Error(namingSettings(error.message, file), { cause: error }) : error
  }
}

/** Who steals the authority's key could be any upstream or issuer to us, if we believed it too. @throws Error in words */
export function refuseOwnTrust(
  { settings, file }: Loaded,
  { certificatePem }: Pick<CertificateAuthority, 'certificatePem'>,
  references: References,
): void {
  for (const { path, reference } of referencesIn(settings.connections, ['connections'])) {
    if (reference instanceof FileReference && holdsCertificate(references.file(reference), certificatePem)) {
      const where = `${file}: ${pathText(path)}`
      throw new Error(`${where}: name a file without Sallyport's own certificate: it is for apps, never for upstreams`)
    }
  }
}

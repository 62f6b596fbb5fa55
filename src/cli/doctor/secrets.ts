import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { certificatesIn } from '../../ca/pem.ts'
import { readToken } from '../../callers/token.ts'
import { Secret } from '../../core/secret.ts'
import { expiryOf } from '../../credentials/expiry-of.ts'
import type { FaultOfText, FileReference } from '../../forms/network.ts'
import { openSecret } from '../../secrets/open.ts'
import { SecretReference } from '../../secrets/reference.ts'
import { pathText } from '../../settings/fault.ts'
import { type Found, referencesIn, whyUnseen } from '../../settings/open.ts'
import { openText } from '../../settings/text-file.ts'
import { codeOf } from '../../wire/opening.ts'
import { trustOf } from '../../wire/trust.ts'
import { examine, examineAll, type Told } from './finding.ts'
import type { Site } from './site.ts'
import { expiry, SOON_MS } from './words.ts'

/** A secret that may be missing, and is. */
const NOTHING = new Secret('')

/** Whether every secret and file can be opened, by Sallyport alone where that matters, and how long it is good for. */
export function examineSecrets(site: Site): Promise<readonly Told[]> {
  return examineAll(referencesIn(site.loaded.settings), ({ path, reference }) =>
    examine(pathText(path), async () => unseenTold({ path, reference }, site) ?? look({ path, reference }, site)),
  )
}

/** The sidecar may have it, and what is in it shows where the sidecar is asked. */
function unseenTold(one: Found, { loaded, env }: Site): Told | undefined {
  const says = whyUnseen(one, loaded, env)
  return says === undefined ? undefined : { subject: pathText(one.path), state: 'skipped', says }
}

function look({ path, reference }: Found, site: Site): Promise<Told> {
  const subject = pathText(path)
  if (reference instanceof SecretReference) return lookAtSecret(subject, reference, site)
  const { file, faultOfText } = reference
  return faultOfText ? lookAtText(subject, { file, faultOfText }, site) : lookAtCertificates(subject, reference, site)
}

async function lookAtSecret(subject: string, reference: SecretReference, { loaded, clock }: Site): Promise<Told> {
  const opened = await openSecret(reference, { directory: dirname(loaded.file) })
  try {
    const { secret } = opened.current()
    if (secret.equals(NOTHING)) return { subject, state: 'ok', says: 'is not there yet, which is fine' }
    const at = expiryOf(secret)
    const { state, says } = expiry(at, clock.now(), soonOf(secret))
    if (at === undefined) return { subject, state, says: 'can be read' }
    return { subject, state, says: `the token in it ${says}`, remedy: remedyFor(state, 'have a new one issued') }
  } finally {
    opened.close()
  }
}

/**
 * A token that never lives for so long is renewed by somebody: a kubelet brings a new one when a fifth of its life is left.
 * @see https://kubernetes.io/docs/concepts/storage/projected-volumes/#serviceaccounttoken
 */
function soonOf(secret: Secret): number {
  const token = readToken(secret)
  if (typeof token !== 'object') return SOON_MS
  const [begins, ends] = ['iat', 'exp'].map((name) => token.claims.get(name))
  const livesMs = typeof begins === 'number' && typeof ends === 'number' ? (ends - begins) * 1000 : SOON_MS
  return livesMs < SOON_MS ? livesMs / 10 : SOON_MS
}

async function lookAtText(
  subject: string,
  reference: { file: string; faultOfText: FaultOfText },
  { loaded }: Site,
): Promise<Told> {
  const path = resolve(dirname(loaded.file), reference.file)
  const opened = await openText(path, { faultOfText: reference.faultOfText, onFault: () => undefined })
  opened.close()
  return { subject, state: 'ok', says: 'can be read' }
}

/** One certificate of several that has ended is a remnant; the last one to end is what matters. */
async function lookAtCertificates(subject: string, { file }: FileReference, { loaded, clock }: Site): Promise<Told> {
  const path = resolve(dirname(loaded.file), file)
  const pem = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new Error(`${path} cannot be read (${codeOf(error)}): use the path of a PEM file`)
  })
  trustOf(pem)
  const ends = certificatesIn(pem).map((one) => new X509Certificate(one).validToDate.getTime())
  const { state, says } = expiry(Math.max(...ends), clock.now())
  const remedy = remedyFor(state, `put the new certificate of the authority into ${path}`)
  return {
    subject,
    state,
    says: `${ends.length === 1 ? 'its certificate' : 'the last of its certificates'} ${says}`,
    remedy,
  }
}

function remedyFor(state: Told['state'], remedy: string): string | undefined {
  return state === 'ok' ? undefined : remedy
}

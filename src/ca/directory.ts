import { X509Certificate } from 'node:crypto'
import { lstat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { type AuthorityTerms, authorityOf, type CertificateAuthority } from './authority.ts'
import { bundleWith } from './bundle.ts'
import { checkClientFiles, clientFileContents } from './client-files.ts'
import { isConstrainedTo } from './name-constraints.ts'
import { checkPrivateDirectory, checkPublicDirectory, makePrivateDirectory, ownerForLooking } from './place.ts'
import { checkReplaceable, replacePublic } from './published.ts'
import { foundRoot } from './root.ts'
import { createRoot, ROTATE, readRoot, replaceRoot } from './root-file.ts'
import type { Identity } from './x509.ts'

/** Where an authority is kept. Absolute paths. */
export interface CaPlace {
  /** Ours alone: holds authority.pem, with the key, and ca.pem. */
  readonly directory: string
  /**
   * The machine's roots and ours, for programs; bundle.pem in the directory without it. Elsewhere for other users. Beside
   * it are the files of clients that read no PEM.
   */
  readonly bundle?: string | undefined
}

/**
 * Opens the authority in a directory, creating both where there is none, and writes the public files anew.
 * @throws Error in words
 */
export async function openAuthority(place: CaPlace, terms: AuthorityTerms): Promise<CertificateAuthority> {
  const files = filesOf(place)
  await prepare(files)
  const root = (await readRoot(files.root)) ?? (await createRoot(files.root, await foundRoot(terms)))
  await checkFit(files.root, root, terms)
  return publish(files, root, terms)
}

/**
 * Puts a new key and certificate in the place of the old ones. A Sallyport that runs goes on with the old ones until it
 * opens the directory again.
 * @throws Error in words
 */
export async function rotateAuthority(place: CaPlace, terms: AuthorityTerms): Promise<CertificateAuthority> {
  const files = filesOf(place)
  await prepare(files)
  return publish(files, await replaceRoot(files.root, await foundRoot(terms)), terms)
}

/** The certificate alone, PEM; creates nothing. @throws Error in words */
export async function readCertificate(directory: string): Promise<string> {
  return (await readIdentity(directory)).cert
}

/** What is in a directory, for whoever only looks; creates nothing. `owner`: whose it is. @throws Error in words */
export async function readIdentity(directory: string): Promise<Identity & { readonly owner: number | undefined }> {
  const files = filesOf({ directory })
  const owner = await ownerForLooking(files.directory)
  await checkPrivateDirectory(files.directory, owner)
  const root = await readRoot(files.root, owner)
  if (!root) throw new Error(`${files.root} does not exist: \`sallyport serve\` creates it`)
  return { ...root, owner }
}

/**
 * Why `openAuthority` would refuse what is in a directory, in words, for whoever only looks; creates nothing. Undefined: it
 * would not, or nothing is there yet, or it is another user's, as whom Sallyport may run.
 */
export async function faultOfKept(directory: string, terms: AuthorityTerms): Promise<string | undefined> {
  const files = filesOf({ directory })
  const found = await lstat(files.directory).catch(() => undefined)
  const own = process.geteuid?.()
  if (!found || (own !== 0 && found.uid !== own)) return undefined
  try {
    await checkPrivateDirectory(files.directory, found.uid)
    const root = await readRoot(files.root, found.uid)
    if (root) await checkFit(files.root, root, terms)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

interface Files {
  readonly directory: string
  readonly root: string
  readonly certificate: string
  readonly bundle: string
}

/** Resolved, because lstat follows a link whose path ends in a slash. */
function filesOf(place: CaPlace): Files {
  const directory = resolve(place.directory)
  const root = join(directory, 'authority.pem')
  const certificate = join(directory, 'ca.pem')
  const bundle = resolve(place.bundle ?? join(directory, 'bundle.pem'))
  if (bundle === root || bundle === certificate) throw new Error(`${bundle} is a file of the authority: name another`)
  return { directory, root, certificate, bundle }
}

/** Everything that can be wrong with the place, before anything is made in it. */
async function prepare({ directory, certificate, bundle }: Files): Promise<void> {
  await makePrivateDirectory(directory)
  await checkPrivateDirectory(directory)
  await checkPublicDirectory(dirname(bundle))
  await checkReplaceable(certificate)
  await checkReplaceable(bundle)
  await checkClientFiles(bundle)
}

async function checkFit(path: string, { cert }: Identity, { hosts, now }: AuthorityTerms): Promise<void> {
  const { validToDate } = new X509Certificate(cert)
  if (validToDate.getTime() <= now()) throw new Error(`${path} expired on ${validToDate.toISOString()}: ${ROTATE}`)
  if (!(await isConstrainedTo(hosts, cert)))
    throw new Error(`${path} was made for other hosts than are to be intercepted now: ${ROTATE}`)
}

async function publish(files: Files, root: Identity, terms: AuthorityTerms): Promise<CertificateAuthority> {
  const authority = await authorityOf(root, terms)
  await replacePublic(files.certificate, root.cert)
  const bundle = await bundleWith(root.cert)
  await replacePublic(files.bundle, bundle)
  for (const [path, content] of clientFileContents(files.bundle, bundle)) await replacePublic(path, content)
  return authority
}

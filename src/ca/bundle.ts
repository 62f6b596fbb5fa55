import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { rootCertificates } from 'node:tls'
import { codeOf } from '../wire/opening.ts'
import { certificatesIn } from './pem.ts'

/** Where machines keep the roots they trust. @see https://go.dev/src/crypto/x509/root_linux.go */
const SYSTEM_BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt', // Debian, Ubuntu, Alpine, Arch
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem', // Fedora, RHEL
  '/etc/pki/tls/certs/ca-bundle.crt', // older RHEL
  '/etc/ssl/ca-bundle.pem', // SUSE
  '/etc/ssl/cert.pem', // macOS, BSD, Alpine
]

/**
 * The roots of the machine (of Node, where the machine has none) and these certificates, as one PEM text: nearly every
 * variable that names a CA file to a program *replaces* what it trusts. `base`: a file to use instead of the machine's.
 * @throws Error in words when `base` cannot be used
 */
export async function bundleWith(certificatePem: string, base?: string): Promise<string> {
  const roots = base === undefined ? await systemRoots() : await rootsIn(base)
  const blocks = new Set([...roots, ...certificatesIn(certificatePem)])
  return `${[...blocks].join('\n')}\n`
}

async function systemRoots(): Promise<readonly string[]> {
  for (const path of SYSTEM_BUNDLES) {
    const roots = await readFile(path, 'utf8').then(certificatesIn, () => [])
    if (roots.length > 0) return roots.filter(isReadable)
  }
  return rootCertificates
}

async function rootsIn(path: string): Promise<readonly string[]> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new Error(`${path} cannot be read (${codeOf(error)}): name a PEM file of the roots to trust`)
  })
  const roots = certificatesIn(text)
  if (roots.length === 0) throw new Error(`${path} holds no PEM certificate: name a PEM file of the roots to trust`)
  const unreadable = roots.findIndex((root) => !isReadable(root))
  if (unreadable !== -1) throw new Error(`certificate ${unreadable + 1} in ${path} cannot be read: remove it`)
  return roots
}

function isReadable(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0
  } catch {
    return false
  }
}

import { createHash, X509Certificate } from 'node:crypto'
import { certificatesIn } from './pem.ts'

const MAGIC = 0xfeedfeed
const VERSION = 2
const TRUSTED_CERTIFICATE = 2
const PASSWORD = 'changeit'
/** Sun's salt: the digest at the end finds damage, and guards nothing. */
const SALT = 'Mighty Aphrodite'

/**
 * The same certificates as a JKS truststore, password "changeit", which every Java since 8 reads: no variable names a PEM
 * file to Java. The same bundle gives the same bytes.
 * @see https://github.com/openjdk/jdk/blob/master/src/java.base/share/classes/sun/security/provider/JavaKeyStore.java
 */
export function javaTruststore(bundlePem: string): Buffer {
  const certificates = certificatesIn(bundlePem).map((pem) => new X509Certificate(pem).raw)
  const store = Buffer.concat([uint32(MAGIC), uint32(VERSION), uint32(certificates.length), ...certificates.map(entry)])
  return Buffer.concat([store, digestOf(store)])
}

function entry(certificate: Buffer, index: number): Buffer {
  const madeAt = Buffer.alloc(8)
  return Buffer.concat([
    uint32(TRUSTED_CERTIFICATE),
    text(`certificate-${index + 1}`),
    madeAt,
    text('X.509'),
    uint32(certificate.length),
    certificate,
  ])
}

function digestOf(store: Buffer): Buffer {
  const password = Buffer.from(PASSWORD, 'utf16le').swap16()
  return createHash('sha1').update(password).update(SALT).update(store).digest()
}

function text(ascii: string): Buffer {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(ascii.length)
  return Buffer.concat([length, Buffer.from(ascii, 'latin1')])
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

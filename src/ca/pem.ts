const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** The certificates in a text, each a PEM block without what stands around it. */
export function certificatesIn(pem: string): string[] {
  return pem.match(CERTIFICATE) ?? []
}

import { parseHost } from '../core/host.ts'

interface Terms {
  /** Whether http:// passes, as unsafeAllowPlaintextIssuer says; `never`: there is no such setting. */
  readonly plaintext: boolean | 'never'
}

/** What is wrong with the URL of an issuer or of its endpoint; undefined: nothing. */
export function faultOfIssuerUrl(text: string, { plaintext }: Terms): string | undefined {
  const url = URL.parse(text)
  if (!url || !/^https?:$/.test(url.protocol)) return 'use a URL such as "https://login.example.com/oauth2/token"'
  if (url.protocol === 'http:' && plaintext !== true)
    return `use https://: the client secret would travel in the clear${plaintext === 'never' ? '' : UNLESS}`
  if (url.username !== '' || url.password !== '' || text.includes('#'))
    return 'use a URL without user, password and fragment'
  return isCanonical(text, url) ? undefined : `use the host in its one spelling, "${url.host}"`
}

const UNLESS = '; for a test on one machine, set unsafeAllowPlaintextIssuer: true'

/** The URL parser drops tabs, folds full-width letters and reads 0x7f.1 as an address: it may see another host than a person. */
function isCanonical(text: string, { protocol, hostname, host }: URL): boolean {
  const [, authority] = /^https?:\/\/([^/?]*)/.exec(text) ?? []
  const withPort = `${host}:${protocol === 'https:' ? 443 : 80}`
  return parseHost(hostname) === hostname && (authority === host || authority === withPort)
}

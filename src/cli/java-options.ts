import { javaNonProxyHosts } from './no-proxy.ts'

interface Wishes {
  /** `host:port` of the proxy. */
  readonly address: string
  readonly noProxy: string
  /** A JKS file without a password. */
  readonly truststore: string | undefined
  /** JAVA_TOOL_OPTIONS as it was. */
  readonly inherited: string | undefined
}

/**
 * JAVA_TOOL_OPTIONS for a JVM, which reads no proxy variable. The key is not in it: a JVM prints this variable at its
 * start. So a program still needs an Authenticator; that it may answer to a tunnel at all is said here.
 * @see https://docs.oracle.com/en/java/javase/21/core/java-networking.html
 */
export function javaToolOptions({ address, noProxy, truststore, inherited = '' }: Wishes): string {
  const at = address.lastIndexOf(':')
  const host = address.slice(0, at).replace(/^\[|\]$/g, '')
  const options = ['http', 'https'].flatMap((scheme) => [
    `${scheme}.proxyHost=${host}`,
    `${scheme}.proxyPort=${address.slice(at + 1)}`,
  ])
  // The later one wins, and what the user excluded for Java stays excluded.
  if (!inherited.includes('-Dhttp.nonProxyHosts=')) options.push(`http.nonProxyHosts=${javaNonProxyHosts(noProxy)}`)
  // By default "Basic", which keeps every proxy with a password from being used for https.
  options.push('jdk.http.auth.tunneling.disabledSchemes=')
  if (truststore !== undefined)
    options.push(`javax.net.ssl.trustStore=${truststore}`, 'javax.net.ssl.trustStoreType=JKS')
  return [inherited, ...options.map((option) => quoted(`-D${option}`))].filter(Boolean).join(' ')
}

/** One option, as a JVM reads it there: it splits at white space outside of quotes, and knows no backslash. */
export function quoted(option: string): string {
  if (!/[\s'"]/.test(option)) return option
  return option.includes('"') ? `'${option}'` : `"${option}"`
}

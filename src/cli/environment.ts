/** Flags that print or weaken what Sallyport keeps. */
const UNSAFE_OPTIONS =
  /--(?:tls-(?:keylog|min-v1\.[01]|cipher-list)|openssl-(?:shared-)?config|trace-tls|insecure-http-parser|heapsnapshot-[a-z-]+|report-[a-z-]+|inspect\S*|require|import|(?:experimental-)?loader|use-env-proxy)|(?:^|\s)-r\s/

/**
 * Refuses to start where the environment would print traffic, or weaken TLS behind our back.
 * @throws Error in words
 */
export function refuseUnsafeEnvironment(env: NodeJS.ProcessEnv): void {
  if (env['NODE_TLS_REJECT_UNAUTHORIZED'] === '0')
    throw unset('NODE_TLS_REJECT_UNAUTHORIZED', 'it asks for upstreams that need not prove who they are')
  if (env['NODE_DEBUG']) throw unset('NODE_DEBUG', 'it prints requests, credentials included')
  if (env['SSLKEYLOGFILE']) throw unset('SSLKEYLOGFILE', 'it writes down the keys of every TLS connection')
  // Node takes either between the words of an option.
  const options = (env['NODE_OPTIONS'] ?? '').replaceAll('_', '-')
  const option = UNSAFE_OPTIONS.exec(options)?.[0]
  if (option !== undefined) throw unset('NODE_OPTIONS', `${option.trim()} is not safe in a process that holds secrets`)
}

function unset(name: string, because: string): Error {
  return new Error(`unset ${name}: ${because}`)
}

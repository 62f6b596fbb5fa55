/** Flags that print or weaken what Sallyport keeps. */
const UNSAFE_OPTIONS =
  /--(?:tls-(?:keylog|min-v1\.[01]|cipher-list)|openssl-(?:shared-)?config|trace-tls|insecure-http-parser|heapsnapshot-[a-z-]+|report-[a-z-]+|inspect\S*|require|import|(?:experimental-)?loader|use-env-proxy)|(?:^|\s)-r\s/

/**
 * Refuses to start where the environment, or a flag of Node's own, would print traffic or weaken TLS behind our back.
 * @throws Error in words
 */
export function refuseUnsafeEnvironment(env: NodeJS.ProcessEnv, flags: readonly string[] = process.execArgv): void {
  if (env['NODE_TLS_REJECT_UNAUTHORIZED'] === '0')
    throw unset('NODE_TLS_REJECT_UNAUTHORIZED', 'it asks for upstreams that need not prove who they are')
  if (env['NODE_DEBUG']) throw unset('NODE_DEBUG', 'it prints requests, credentials included')
  if (env['SSLKEYLOGFILE']) throw unset('SSLKEYLOGFILE', 'it writes down the keys of every TLS connection')
  const option = unsafeIn(env['NODE_OPTIONS'] ?? '')
  if (option !== undefined) throw unset('NODE_OPTIONS', `${option} is not safe in a process that holds secrets`)
  const flag = unsafeIn(flags.join(' '))
  if (flag !== undefined) throw new Error(`start node without ${flag}: it is not safe in a process that holds secrets`)
}

/** Node takes either between the words of an option. */
function unsafeIn(options: string): string | undefined {
  return UNSAFE_OPTIONS.exec(options.replaceAll('_', '-'))?.[0].trim()
}

function unset(name: string, because: string): Error {
  return new Error(`unset ${name}: ${because}`)
}

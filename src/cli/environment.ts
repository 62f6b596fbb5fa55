/** Flags that print or weaken what Sallyport keeps. */
const UNSAFE_FLAGS =
  /--(?:tls-(?:keylog|min-v1\.[01]|cipher-list)|openssl-(?:shared-)?config|trace-tls|insecure-http-parser|heapsnapshot-[a-z-]+|report-[a-z-]+|inspect\S*|use-env-proxy)/
/** What loads code is as good as the code that it loads: on the command line somebody chose it, a variable just comes along. */
const LOADING_OPTIONS = /--(?:require|import|(?:experimental-)?loader)|(?:^|\s)-r\s/

/**
 * Refuses to start where the environment, or a flag of Node's own, would print traffic or weaken TLS behind our back.
 * @throws Error in words
 */
export function refuseUnsafeEnvironment(env: NodeJS.ProcessEnv, flags: readonly string[] = process.execArgv): void {
  if (env['NODE_TLS_REJECT_UNAUTHORIZED'] === '0')
    throw unset('NODE_TLS_REJECT_UNAUTHORIZED', 'it asks for upstreams that need not prove who they are')
  if (env['NODE_DEBUG']) throw unset('NODE_DEBUG', 'it prints requests, credentials included')
  if (env['SSLKEYLOGFILE']) throw unset('SSLKEYLOGFILE', 'it writes down the keys of every TLS connection')
  const option = unsafeIn(env['NODE_OPTIONS'] ?? '', UNSAFE_FLAGS, LOADING_OPTIONS)
  if (option !== undefined) throw unset('NODE_OPTIONS', `${option} is not safe in a process that holds secrets`)
  const flag = unsafeIn(flags.join(' '), UNSAFE_FLAGS)
  if (flag !== undefined) throw new Error(`start node without ${flag}: it is not safe in a process that holds secrets`)
}

/** Node takes "_" for "-" between the words of an option. */
function unsafeIn(options: string, ...patterns: readonly RegExp[]): string | undefined {
  const text = options.replaceAll('_', '-')
  return patterns.map((pattern) => pattern.exec(text)?.[0].trim()).find((found) => found !== undefined)
}

function unset(name: string, because: string): Error {
  return new Error(`unset ${name}: ${because}`)
}

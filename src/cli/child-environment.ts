import { javaToolOptions } from './java-options.ts'
import { mergeNoProxy } from './no-proxy.ts'

/** Files that make clients trust the authority of a sidecar. */
export interface TrustFiles {
  /** PEM: the usual authorities and ours. Most clients take it instead of their own list. */
  readonly bundle: string
  readonly truststore?: string
  readonly wgetrc?: string
  readonly aptConfig?: string
}

/** How a child reaches its sidecar, and what it has in its environment already. */
export interface Surroundings {
  /** `host:port` of a forward door. */
  readonly address: string
  /** `name:key`, fit for a URL; undefined where the door itself knows the caller. */
  readonly userinfo: string | undefined
  /** Undefined: nothing is intercepted, or nobody knows whom to trust for it. */
  readonly trust: TrustFiles | undefined
  /** Worthless values, for tools that send nothing without one. */
  readonly placeholders: Readonly<Record<string, string>>
  /** What NO_PROXY and JAVA_TOOL_OPTIONS are added to. */
  readonly env: NodeJS.ProcessEnv
}

/** Upper and lower case: curl and wget read `http_proxy` alone, others the upper case alone. */
const PROXY_VARIABLES = [
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'ALL_PROXY',
  'http_proxy',
  'https_proxy',
  'all_proxy',
  'grpc_proxy',
]

/** Each is read by a tool that none of the others reaches. */
const BUNDLE_VARIABLES = [
  'SSL_CERT_FILE', // OpenSSL, Go, Python's ssl, Ruby, .NET
  'REQUESTS_CA_BUNDLE',
  'CURL_CA_BUNDLE',
  'NODE_EXTRA_CA_CERTS',
  'GIT_SSL_CAINFO', // git of Debian is built with GnuTLS
  'PIP_CERT',
  'npm_config_cafile', // an npmrc with `cafile` takes the effect of NODE_EXTRA_CA_CERTS away
  'AWS_CA_BUNDLE',
  'DENO_CERT',
  'CARGO_HTTP_CAINFO',
  'CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE', // gcloud
  'GRPC_DEFAULT_SSL_ROOTS_FILE_PATH',
  'HTTPLIB2_CA_CERTS',
  'NIX_SSL_CERT_FILE', // before SSL_CERT_FILE, in whatever Nix has built
]

/** The variables that send a child's requests through a sidecar; nothing else of its environment. */
export function childEnvironment({
  address,
  userinfo,
  trust,
  placeholders,
  env,
}: Surroundings): Record<string, string> {
  const proxy = `http://${userinfo === undefined ? '' : `${userinfo}@`}${address}`
  const noProxy = mergeNoProxy(env)
  const inherited = env['JAVA_TOOL_OPTIONS']
  return {
    // First, so that no placeholder takes the place of what follows.
    ...placeholders,
    ...each(PROXY_VARIABLES, proxy),
    NO_PROXY: noProxy,
    no_proxy: noProxy,
    // Without it Node's fetch and http read none of these.
    NODE_USE_ENV_PROXY: '1',
    ...(trust && trustVariables(trust)),
    JAVA_TOOL_OPTIONS: javaToolOptions({ address, noProxy, truststore: trust?.truststore, inherited }),
  }
}

function trustVariables({ bundle, wgetrc, aptConfig }: TrustFiles): Record<string, string> {
  return {
    ...each(BUNDLE_VARIABLES, bundle),
    ...(wgetrc !== undefined && { WGETRC: wgetrc }),
    ...(aptConfig !== undefined && { APT_CONFIG: aptConfig }),
  }
}

function each(names: readonly string[], value: string): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, value]))
}

/** Who has to do something about it; picks the log level. */
export type Blame = 'caller' | 'operator' | 'upstream' | 'proxy'

/** What is said of one code. */
export interface ProblemRow {
  readonly status: number
  readonly title: string
  readonly blame: Blame
  /** Error type of the Proxy-Status field. @see RFC 9209 section 2.3 */
  readonly proxyError: string
  /** What to do about it, for whoever reads the answer. Static text: nothing of a request or an issuer is echoed. */
  readonly remedy: string
}

/** Every way in which Sallyport itself says no. Codes are stable and never reused; config/problems.md is made from this. */
export const problems = {
  'request-malformed': {
    status: 400,
    title: 'The request is malformed',
    blame: 'caller',
    proxyError: 'http_request_error',
    remedy:
      'Its framing or a header field can be read in more than one way. Send one Host, and one of Content-Length or chunked.',
  },
  'target-malformed': {
    status: 400,
    title: 'The request target is malformed',
    blame: 'caller',
    proxyError: 'http_request_error',
    remedy:
      'A forward door takes "http://host/path", a reverse door "/path". A host is lower-case ASCII, without user or fragment.',
  },
  'caller-unknown': {
    status: 407,
    title: 'The caller is not known',
    blame: 'caller',
    proxyError: 'http_request_denied',
    remedy:
      'Show the caller key: in the proxy URL (http://CALLER:KEY@host:port), or at a reverse door as "Authorization: Bearer KEY".',
  },
  'host-not-allowed': {
    status: 403,
    title: 'The host is not on the allowlist',
    blame: 'caller',
    proxyError: 'http_request_denied',
    remedy: 'Nothing may leave for this host, whoever asks. The operator can add it to "allowlist".',
  },
  'connection-missing': {
    status: 403,
    title: 'No connection names this host',
    blame: 'operator',
    proxyError: 'http_request_denied',
    remedy:
      'The host is allowed, but no entry of "connections" lists it. The operator can add one; "credential: { kind: none }" injects nothing.',
  },
  'connection-unknown': {
    status: 404,
    title: 'There is no such connection at this door',
    blame: 'caller',
    proxyError: 'http_request_denied',
    remedy: 'The first segment of the path names the connection, as in "/crm/v1/contacts".',
  },
  'port-not-allowed': {
    status: 403,
    title: 'The port is not the one of the connection',
    blame: 'caller',
    proxyError: 'http_request_denied',
    remedy: 'Leave the port out, or use the port of the connection.',
  },
  'path-not-allowed': {
    status: 403,
    title: 'The path is outside the connection',
    blame: 'caller',
    proxyError: 'http_request_denied',
    remedy: 'Ask for a path below the base path of the connection, without "..", "//" or encoded slashes.',
  },
  'grant-missing': {
    status: 403,
    title: 'The caller has no grant for this connection',
    blame: 'caller',
    proxyError: 'http_request_denied',
    remedy: 'The caller does not have USE CONNECTION here. The operator can add it to "grants".',
  },
  'grant-expired': {
    status: 403,
    title: 'The grant has expired',
    blame: 'caller',
    proxyError: 'http_request_denied',
    remedy: 'The operator can renew it by a later "until".',
  },
  'rule-not-matched': {
    status: 403,
    title: 'The grant does not cover this method and path',
    blame: 'caller',
    proxyError: 'http_request_denied',
    remedy:
      'No rule of the grant lets this method through to this path. Paths with "..", "//" or encoded slashes match no rule.',
  },
  'connect-refused': {
    status: 403,
    title: 'CONNECT is not open here',
    blame: 'caller',
    proxyError: 'http_request_denied',
    remedy:
      'Ask for http://HOST/ through the proxy: Sallyport makes it verified HTTPS upstream. Or use a reverse door. The operator can open CONNECT by "ca" and "connect".',
  },
  'authority-mismatch': {
    status: 421,
    title: 'The request is for another host than its tunnel',
    blame: 'caller',
    proxyError: 'http_request_denied',
    remedy: 'In a tunnel, Host or :authority is what CONNECT named, port included. Open a tunnel for each host.',
  },
  'tunnel-unfit': {
    status: 400,
    title: 'The tunnel carries something else than was announced',
    blame: 'caller',
    proxyError: 'connection_terminated',
    remedy:
      'The first bytes are a TLS ClientHello whose server name is the host of CONNECT, without Encrypted Client Hello. The operator can allow other bytes in a tunnel by "tunnel: any".',
  },
  'certificate-rejected': {
    status: 400,
    title: 'The client rejected our certificate',
    blame: 'operator',
    proxyError: 'connection_terminated',
    remedy:
      'The client does not trust the authority of this Sallyport. "sallyport doctor" names the line that makes it; "sallyport ca export" prints the certificate.',
  },
  'tunnel-closed': {
    status: 504,
    title: 'The tunnel has reached a limit',
    blame: 'caller',
    proxyError: 'connection_terminated',
    remedy: 'It stood still, grew too old, or its grant has ended. Open another one.',
  },
  'upgrade-refused': {
    status: 403,
    title: 'This connection does not switch protocols',
    blame: 'caller',
    proxyError: 'http_request_denied',
    remedy: 'Only "Upgrade: websocket" is relayed, and only where the connection says "websocket: true".',
  },
  'method-not-allowed': {
    status: 405,
    title: 'The method is never relayed',
    blame: 'caller',
    proxyError: 'http_request_denied',
    remedy: 'TRACE would echo the injected credential.',
  },
  'request-timeout': {
    status: 408,
    title: 'The request did not arrive in time',
    blame: 'caller',
    proxyError: 'http_request_error',
    remedy:
      'Send the whole head within ten seconds, and keep the body moving: the connection sets limits.idleTimeoutMs.',
  },
  'body-too-large': {
    status: 413,
    title: 'The request body is too large',
    blame: 'caller',
    proxyError: 'http_request_error',
    remedy: 'The connection sets limits.maxRequestBytes.',
  },
  'target-too-long': {
    status: 414,
    title: 'The request target is too long',
    blame: 'caller',
    proxyError: 'http_request_error',
    remedy: 'Keep it below 8192 bytes; long input goes into the body.',
  },
  'expectation-failed': {
    status: 417,
    title: 'The expectation cannot be met',
    blame: 'caller',
    proxyError: 'http_request_error',
    remedy: 'The only expectation is "Expect: 100-continue".',
  },
  'host-misdirected': {
    status: 421,
    title: 'The request was not meant for this door',
    blame: 'caller',
    proxyError: 'http_request_denied',
    remedy: 'Address the door by localhost, by its listen address, or by one of its "hostnames".',
  },
  'cross-site': {
    status: 403,
    title: 'Web pages of other sites may not use this door',
    blame: 'caller',
    proxyError: 'http_request_denied',
    remedy: 'A browser sent this for a page of another origin. Call from a program instead.',
  },
  'too-many-requests': {
    status: 429,
    title: 'Too many requests at once',
    blame: 'caller',
    proxyError: 'http_request_denied',
    remedy: 'Wait for answers first; the connection sets limits.maxConcurrent for each caller.',
  },
  'head-too-large': {
    status: 431,
    title: 'The request head is too large',
    blame: 'caller',
    proxyError: 'http_request_error',
    remedy: 'Keep all header fields together below 16 KiB, and fewer than 200.',
  },
  'internal-error': {
    status: 500,
    title: 'Sallyport failed',
    blame: 'proxy',
    proxyError: 'proxy_internal_error',
    remedy: 'The log has the cause under the id of this answer. No credential was sent.',
  },
  'coding-not-implemented': {
    status: 501,
    title: 'The transfer coding is not known here',
    blame: 'caller',
    proxyError: 'http_request_error',
    remedy: 'Use "Transfer-Encoding: chunked" alone.',
  },
  'credential-failed': {
    status: 502,
    title: 'No credential can be had for this connection',
    blame: 'operator',
    proxyError: 'proxy_configuration_error',
    remedy:
      'The issuer refuses, or its answer is not usable. Retrying does not help; the operator finds the cause in the log.',
  },
  'credential-unavailable': {
    status: 503,
    title: 'The credential is not available now',
    blame: 'upstream',
    proxyError: 'destination_unavailable',
    remedy: 'The issuer cannot be reached or is failing. Retry after the time given in Retry-After.',
  },
  'address-not-allowed': {
    status: 403,
    title: 'The host resolves to an address that is not allowed',
    blame: 'operator',
    proxyError: 'destination_ip_prohibited',
    remedy:
      'It resolves to a private, loopback or reserved address. The operator can list its range in allowPrivate of the connection.',
  },
  'upstream-unresolved': {
    status: 502,
    title: 'The name of the upstream does not resolve',
    blame: 'upstream',
    proxyError: 'dns_error',
    remedy: 'Check the name and the resolver; dns.servers and dns.hosts can set them.',
  },
  'upstream-unreachable': {
    status: 502,
    title: 'The upstream cannot be reached',
    blame: 'upstream',
    proxyError: 'destination_unavailable',
    remedy: 'It refused or broke the connection before it answered. Whether it acted on the request is not known.',
  },
  'upstream-untrusted': {
    status: 502,
    title: 'The upstream could not prove who it is',
    blame: 'upstream',
    proxyError: 'tls_certificate_error',
    remedy:
      'Its certificate does not verify for this name. For a private authority the operator sets tls.ca of the connection.',
  },
  'upstream-malformed': {
    status: 502,
    title: 'The answer of the upstream is malformed',
    blame: 'upstream',
    proxyError: 'http_protocol_error',
    remedy: 'It cannot be relayed safely.',
  },
  'upstream-timeout': {
    status: 504,
    title: 'The upstream did not answer in time',
    blame: 'upstream',
    proxyError: 'http_response_timeout',
    remedy: 'The connection sets limits.connectTimeoutMs and limits.responseTimeoutMs.',
  },
  'version-not-supported': {
    status: 505,
    title: 'The HTTP version is not supported',
    blame: 'caller',
    proxyError: 'http_request_error',
    remedy: 'Use HTTP/1.1.',
  },
  'loop-detected': {
    status: 508,
    title: 'The request has been here before',
    blame: 'operator',
    proxyError: 'proxy_loop_detected',
    remedy: 'A connection leads back to this Sallyport.',
  },
} as const satisfies Record<string, ProblemRow>

/** Stable names for programs. */
export type ProblemCode = keyof typeof problems

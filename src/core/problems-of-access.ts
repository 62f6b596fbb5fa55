import type { ProblemRow } from './problem-row.ts'

/** Why a caller may not: who it is, and the two gates. */
export const accessProblems = {
  'caller-unknown': {
    status: 407,
    title: 'The caller is not known',
    blame: 'caller',
    proxyError: 'http_request_denied',
    remedy:
      'Show the caller key: in the proxy URL (http://CALLER:KEY@host:port), or at a reverse door as "Authorization: Bearer KEY".',
  },
  'token-rejected': {
    status: 407,
    title: 'The token proves nobody',
    blame: 'caller',
    proxyError: 'http_request_denied',
    remedy:
      'Fetch a new token: of an issuer that the settings name, for the audience of Sallyport, and not yet expired. The operator finds the reason in the audit.',
  },
  'proof-unverifiable': {
    status: 503,
    title: 'The proof cannot be verified now',
    blame: 'upstream',
    proxyError: 'proxy_internal_error',
    remedy:
      'Whoever vouches for it, an issuer or a cluster, does not answer, so that it proves nobody. Retry after the time given in Retry-After; the operator finds the reason in the audit.',
  },
  'certificate-unknown': {
    status: 407,
    title: 'The client certificate proves nobody',
    blame: 'caller',
    proxyError: 'http_request_denied',
    remedy:
      'Show a certificate that an authority of this door has signed for clients, that has not expired and that names one caller; or a caller key. The operator finds the reason in the audit.',
  },
  'too-many-failures': {
    status: 429,
    title: 'Too many wrong proofs',
    blame: 'caller',
    proxyError: 'http_request_denied',
    remedy:
      'More than 1,000 wrong proofs a second came from here. Stop, and show the right one; what is known is served.',
  },
  'identity-missing': {
    status: 403,
    title: 'There is nobody to act as at this connection',
    blame: 'caller',
    proxyError: 'http_request_denied',
    remedy:
      'The connection acts for whoever asks, and what was shown says nobody: show a token of the issuer that the operator names, not yet expired, with the claim that chooses the identity. The operator finds the reason in the audit.',
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
  'endpoint-unknown': {
    status: 404,
    title: 'There is no such endpoint at this door',
    blame: 'caller',
    proxyError: 'http_request_denied',
    remedy:
      'A door with "face: unity-catalog" answers /api/2.0/unity-catalog/connections/NAME/proxy, with what follows it, and POST /api/2.0/external-function.',
  },
  'port-not-allowed': {
    status: 403,
    title: 'The port is not the one of the connection',
    blame: 'caller',
    proxyError: 'http_request_denied',
    remedy: 'Ask for http:// without a port, or name the port of the connection: https:// without one means 443.',
  },
  'path-not-allowed': {
    status: 403,
    title: 'The path is outside the connection',
    blame: 'caller',
    proxyError: 'http_request_denied',
    remedy: 'Ask for a path below the base path of the connection, without "..", "//" or encoded slashes.',
  },
  'connection-disabled': {
    status: 403,
    title: 'The connection is switched off',
    blame: 'operator',
    proxyError: 'http_request_denied',
    remedy: 'An operator has disabled it for every caller. "sallyport connection enable" switches it on again.',
  },
  'grant-missing': {
    status: 403,
    title: 'The caller has no grant for this connection',
    blame: 'caller',
    proxyError: 'http_request_denied',
    remedy:
      'The caller may not use this connection. The operator can add it to "grants" of the settings, or run "sallyport grant".',
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
  'login-required': {
    status: 403,
    title: 'Somebody has to log in first',
    blame: 'caller',
    proxyError: 'http_request_denied',
    remedy:
      'The connection acts for a person, and has no consent of that person. The detail has the address to log in at; an operator can run "sallyport login".',
  },
  'audit-full': {
    status: 503,
    title: 'What happens here could not be recorded',
    blame: 'operator',
    proxyError: 'proxy_internal_response',
    remedy:
      'The audit can take no more, and nothing is done unrecorded. It goes on by itself once there is room; the log names the sink.',
  },
  'store-lost': {
    status: 503,
    title: 'What is granted is not known any more',
    blame: 'operator',
    proxyError: 'proxy_internal_error',
    remedy:
      'The store has been lost for longer than "store.staleMs", and what was granted may have been taken back. It goes on by itself once the store is there again.',
  },
  'scope-insufficient': {
    status: 403,
    title: 'The scope of the token does not reach this far',
    blame: 'caller',
    proxyError: 'http_request_denied',
    remedy:
      'The grant would let this through, the scopes of the token do not. Ask the issuer for a token with the scope that the settings require.',
  },
  'access-revoked': {
    status: 403,
    title: 'The access was revoked while it was in use',
    blame: 'operator',
    proxyError: 'http_request_denied',
    remedy:
      'What was under way was cut: the grant has ended or was taken back, or the caller or the connection is switched off. Whether the upstream acted on it is not known.',
  },
  'too-many-requests': {
    status: 429,
    title: 'Too many requests at once',
    blame: 'caller',
    proxyError: 'http_request_denied',
    remedy: 'Wait for answers first; the connection sets limits.maxConcurrent for each caller.',
  },
} as const satisfies Record<string, ProblemRow>

import type { ProblemRow } from './problem-row.ts'

/** What can go wrong on the way out. */
export const upstreamProblems = {
  'internal-error': {
    status: 500,
    title: 'Sallyport failed',
    blame: 'proxy',
    proxyError: 'proxy_internal_error',
    remedy: 'The log has the cause under the id of this answer. No credential was sent.',
  },
  'credential-failed': {
    status: 502,
    title: 'No credential can be had for this connection',
    blame: 'operator',
    proxyError: 'proxy_configuration_error',
    remedy:
      'The issuer refuses, its answer is not usable, or what is to be shown to it is not. Retrying does not help; the operator finds the cause in the log.',
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
      'It does not speak TLS, or its certificate does not verify for this name. For a private authority the operator sets tls.ca of the connection.',
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
} as const satisfies Record<string, ProblemRow>

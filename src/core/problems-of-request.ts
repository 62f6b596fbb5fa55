import type { ProblemRow } from './problem-row.ts'

/** What is wrong with a request, whoever sends it. */
export const requestProblems = {
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
  'placeholder-misplaced': {
    status: 400,
    title: 'The placeholder is not in its place',
    blame: 'caller',
    proxyError: 'http_request_error',
    remedy:
      'The connection puts its credential where the request has the placeholder. Send it exactly once, in the place that "inject" of the connection names, and nowhere else; a body as JSON or as a form, uncompressed.',
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
    remedy:
      'TRACE would echo the injected credential. At a door with "face: unity-catalog": GET, POST, PUT, PATCH and DELETE alone.',
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
  'body-malformed': {
    status: 400,
    title: 'The body does not say what is asked for',
    blame: 'caller',
    proxyError: 'http_request_error',
    remedy:
      'An external function takes a JSON object of texts: connection_name, method and path, and it may have headers, params and json, which are JSON in a text, and sub_domain.',
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
  'head-too-large': {
    status: 431,
    title: 'The request head is too large',
    blame: 'caller',
    proxyError: 'http_request_error',
    remedy: 'Keep all header fields together below 16 KiB, and fewer than 200.',
  },
  'coding-not-implemented': {
    status: 501,
    title: 'The transfer coding is not known here',
    blame: 'caller',
    proxyError: 'http_request_error',
    remedy: 'Use "Transfer-Encoding: chunked" alone.',
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

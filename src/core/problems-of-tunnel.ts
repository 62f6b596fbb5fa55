import type { ProblemRow } from './problem-row.ts'

/** What can go wrong with a CONNECT, or with a redirected connection, and what comes through it. */
export const tunnelProblems = {
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
    remedy: 'It stood still or grew too old. Open another one.',
  },
  'destination-unnamed': {
    status: 400,
    title: 'The connection does not name where it wants to go',
    blame: 'caller',
    proxyError: 'http_request_error',
    remedy:
      'At a transparent door TLS has to begin with the name of a host (SNI), and plain HTTP to have one in Host. An address is no name, and other protocols have none: have the redirect rules leave them out, or use another door.',
  },
  'not-redirected': {
    status: 421,
    title: 'The connection was not redirected here',
    blame: 'caller',
    proxyError: 'http_request_denied',
    remedy:
      'A transparent door takes connections that nftables has redirected to it, and no others. As a proxy use a forward door, as a base URL a reverse door.',
  },
} as const satisfies Record<string, ProblemRow>

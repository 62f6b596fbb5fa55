/** What the first minute needs. */
export interface Sights {
  /** `127.0.0.1:15001` */
  readonly forward: string
  /** Path of the socket as the user's shell can say it. */
  readonly socket: string
  readonly admin: string
  readonly apiHost: string
  readonly apiPort: number
  /** Sallyport's own certificate, as the user's shell can say it. */
  readonly ownCa: string
  readonly caller: string
  readonly callerKey: string
  readonly config: string
}

/** The lines to copy, and what to see in them. */
export function guide(sights: Sights): string {
  const { forward, socket, admin, apiHost, apiPort, ownCa, caller, callerKey, config } = sights
  const proxy = `-x http://${caller}:${callerKey}@${forward}`
  return `
Ready. Three processes: an authorization server, an API that wants its tokens, and Sallyport in front of both.
You are the app: you hold no credential, only a key that is worthless anywhere else.

1. Ask through Sallyport as a proxy. The claims in the answer are those of a token you never see:
   curl ${proxy} http://${apiHost}/v1/hello

2. The same through one stable socket: no proxy setting, no key, whoever may open it is the caller:
   curl --unix-socket ${quoted(socket)} http://localhost/v1/hello

3. An app that insists on https:// has to trust the authority of this Sallyport, and nothing else is new to it:
   curl ${proxy} --cacert ${quoted(ownCa)} https://${apiHost}:${apiPort}/v1/hello

4. What was not granted is refused, and no credential is touched:
   curl -i ${proxy} -X POST http://${apiHost}/v1/hello

See what Sallyport knows of itself. Tokens live 60 s, so ask again and watch the next one come:
   curl http://${admin}/readyz
   curl http://${admin}/metrics

Settings: ${config}. Ctrl-C stops everything. Each request appears below.
`
}

/** For a POSIX shell. */
function quoted(path: string): string {
  return /^[\w./@+-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`
}

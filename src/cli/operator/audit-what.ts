/** As much of a record as says what was done. */
export interface Done {
  readonly msg: string
  readonly action?: string | undefined
  readonly door?: string | undefined
  readonly method?: string | undefined
  readonly host?: string | undefined
  readonly port?: number | undefined
  readonly path?: string | undefined
}

/** What was asked for, or changed, for people: `GET api.crm.example.com:8443/v1/contacts`. */
export function whatText(done: Done): string {
  const { msg, action, method = '', host = '', path = '', port } = done
  if (msg !== 'ask') return action ?? msg
  return `${method} ${host}${port === undefined || port === defaultPort(done) ? '' : `:${port}`}${path}`
}

/** A CONNECT, and what comes through an opened tunnel with its port, is for TLS; everything else is asked for as `http://`. */
function defaultPort({ method, door = '' }: Done): number {
  return method === 'CONNECT' || door.startsWith('intercept ') ? 443 : 80
}

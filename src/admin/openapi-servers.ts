import type { IncomingMessage } from 'node:http'
import { valuesOf } from '../wire/fields.ts'

/** Where the admin door answers, as OpenAPI says it. */
export interface ApiServer {
  readonly url: string
  readonly description: string
  readonly variables?: Readonly<Record<string, { readonly default: string; readonly description: string }>>
}

/** Of the `unix:` socket a URL can say the name alone that it answers to. */
const SOCKET: ApiServer = {
  url: 'http://localhost',
  description:
    'over the unix: socket of admin.listen, which no URL can name, as in curl --unix-socket admin.sock http://localhost/v1/grants',
}

/** Of a document that belongs to no door: the two ways in which `admin.listen` may have it. */
export const POSSIBLE_SERVERS: readonly ApiServer[] = [
  SOCKET,
  {
    url: 'http://{address}',
    description: 'on TCP, where admin.listen says so',
    variables: { address: { default: '127.0.0.1:15090', description: 'admin.listen' } },
  },
]

/** The one at which this request was answered: its Host was found to be a name of the door, a forwarded port included. */
export function serversOf({ rawHeaders, socket: { localPort } }: IncomingMessage): readonly ApiServer[] {
  if (localPort === undefined) return [SOCKET]
  const [host = ''] = valuesOf(rawHeaders, 'host')
  const authority = /:\d+$/.test(host) ? host : `${host}:${localPort}`
  return [{ url: `http://${authority}`, description: 'the admin door' }]
}

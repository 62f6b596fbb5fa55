import type { Evidence } from '../core/ask.ts'
import { parseName } from '../core/host.ts'
import type { Kind } from '../forms/kind.ts'
import { z } from '../forms/zod.ts'
import { parseAuthority, parseOriginForm } from '../wire/authority.ts'
import { valuesOf } from '../wire/fields.ts'
import type { Fault } from '../wire/framing.ts'
import { writtenPlace } from '../wire/original-destination.ts'
import type { Door, DoorTools, Head, Reader, Reading } from './door.ts'
import { RedirectedDoor } from './redirected-door.ts'
import { listen, maxSockets, systemd } from './settings.ts'

const schema = z
  .strictObject({
    kind: z.literal('transparent'),
    listen: listen
      .refine(
        (text) => !text.startsWith('unix:'),
        'use an address such as "127.0.0.1:15002": nothing is redirected to a path',
      )
      .meta({
        description:
          '`127.0.0.1:PORT` for what is redirected of IPv4, `[::1]:PORT` for IPv6: a listener each, and the port that the redirect rules name',
      }),
    caller: z.string().meta({
      description:
        'name of a caller of kind `socket`: whoever the redirect rules send here is that caller. TCP tells no uid, but the rules can: a listener for each user',
    }),
    systemd,
    maxSockets,
  })
  .meta({
    description:
      'for apps that know of no proxy: takes TCP that nftables has redirected (`redirect to :PORT`), and learns the host from the server name of TLS or from `Host`; Linux only',
  })

/** The door of redirected sockets: each is what a CONNECT, or an `http://` request, for the host that it names would be. */
export const transparent: Kind<typeof schema, DoorTools, Door> = {
  schema,
  build: ({ caller, ...rest }, tools) => new RedirectedDoor({ ...rest, reader: readerFor(caller) }, tools),
}

const HTTP_PORT = 80

function readerFor(caller: string): Reader {
  const evidence = ({ address, original }: Head['line']): Evidence => ({
    doorCaller: caller,
    address,
    originalDestination: original && writtenPlace(original),
    // Whatever proof an app sends, it means for its server.
    keys: [],
    keysAre: 'certain',
  })
  return {
    // Whoever asks here believes to talk to the origin.
    challenge: 'origin',
    evidence: (_fields, line) => evidence(line),
    read({ target, fields, line }: Head): Reading | Fault {
      const parts = parseOriginForm(target)
      if (!parts) return { code: 'target-malformed', reason: 'not an origin-form target' }
      const named = hostIn(fields, line.original?.port ?? 0)
      return 'code' in named ? named : { ...parts, target: named, evidence: evidence(line) }
    },
  }
}

/** The host is what Host says, and the port the one that was connected to. */
function hostIn(fields: readonly string[], port: number): Extract<Reading['target'], { kind: 'name' }> | Fault {
  const [value] = valuesOf(fields, 'host')
  const authority = value === undefined ? undefined : parseAuthority(value)
  if (!authority || parseName(authority.host) === undefined)
    return { code: 'destination-unnamed', reason: 'Host names no host' }
  if (authority.port !== undefined && authority.port !== port)
    return { code: 'authority-mismatch', reason: `Host names another port than ${port}, which was connected to` }
  // `http://host/` names no port: the socket's own is meant, as at the forward door.
  return { kind: 'name', host: authority.host, port: port === HTTP_PORT ? undefined : port, isSecure: false }
}

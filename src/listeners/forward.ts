import type { Kind } from '../forms/kind.ts'
import { z } from '../forms/zod.ts'
import { parseAbsoluteForm } from '../wire/authority.ts'
import { valuesOf } from '../wire/fields.ts'
import type { Door, DoorTools, Head, Reader } from './door.ts'
import { HttpDoor } from './http-door.ts'
import { proxyKeys } from './keys.ts'
import { doorCaller, listen, mode } from './settings.ts'

const schema = z
  .strictObject({ kind: z.literal('forward'), listen, mode, caller: doorCaller })
  .meta({
    description:
      'an HTTP proxy: apps name it in `HTTP_PROXY` and ask for `http://HOST/`, which goes out as verified HTTPS',
  })

/** The door of `HTTP_PROXY`: absolute-form requests, the proof in Proxy-Authorization. */
export const forward: Kind<typeof schema, DoorTools, Door> = {
  schema,
  build: (settings, tools) => new HttpDoor({ ...settings, reader: readerFor(settings.caller) }, tools),
}

function readerFor(caller: string | undefined): Reader {
  return {
    challenge: 'proxy',
    read({ method, target, fields, peer }: Head) {
      const parts = parseAbsoluteForm(target)
      if (!parts) return { code: 'target-malformed', reason: 'not an absolute http:// target of a plain host' }
      const { host, port, query } = parts
      const { keys, unreadable } = proxyKeys(valuesOf(fields, 'proxy-authorization'))
      return {
        // RFC 9112 section 3.2.4: OPTIONS of a bare authority asks about the server as a whole.
        path: method === 'OPTIONS' && /^[^/]*:\/\/[^/]*$/.test(target) ? '*' : parts.path,
        query,
        target: { kind: 'name', host, port },
        evidence: { doorCaller: caller, peer, keys, unreadable, keysAre: 'certain' },
      }
    },
  }
}

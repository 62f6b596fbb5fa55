import type { Evidence } from '../core/ask.ts'
import type { Kind } from '../forms/kind.ts'
import { z } from '../forms/zod.ts'
import { parseAbsoluteForm } from '../wire/authority.ts'
import { valuesOf } from '../wire/fields.ts'
import type { Door, DoorTools, Head, Reader } from './door.ts'
import { HttpDoor } from './http-door.ts'
import { proxyKeys, type ShownKeys } from './keys.ts'
import { doorCaller, doorListen, doorTls, maxSockets, mode, refusePlace, systemd } from './settings.ts'

const schema = z
  .strictObject({
    kind: z.literal('forward'),
    listen: doorListen,
    mode,
    systemd,
    caller: doorCaller,
    tls: doorTls,
    maxSockets,
  })
  .superRefine(refusePlace)
  .meta({
    description:
      'an HTTP proxy: apps name it in `HTTP_PROXY` and ask for `http://HOST/`, which goes out as verified HTTPS, or opens a tunnel by `CONNECT`',
  })

/** The door of `HTTP_PROXY`: absolute-form requests, the proof in Proxy-Authorization. */
export const forward: Kind<typeof schema, DoorTools, Door> = {
  schema,
  build: (settings, tools) =>
    new HttpDoor({ ...settings, reader: readerFor(settings.caller), hasTunnels: true }, tools),
}

const HTTPS = /^https:/i
const BARE_AUTHORITY = /^[^/]*:\/\/[^/?]*$/

function readerFor(caller: string | undefined): Reader {
  const evidence = (fields: readonly string[], line: Head['line']): Evidence => {
    const { keys, unreadable } = shownOn(line, valuesOf(fields, 'proxy-authorization'))
    const { peer, address, certificate } = line
    return { doorCaller: caller, peer, address, certificate, keys, unreadable, keysAre: 'certain' }
  }
  return {
    challenge: 'proxy',
    evidence,
    read({ method, target, fields, line }: Head) {
      const parts = parseAbsoluteForm(target)
      if (!parts) return { code: 'target-malformed', reason: 'not an absolute http:// target of a plain host' }
      // RFC 9112 section 3.2.4 would have us send "OPTIONS *", which undici cannot; "OPTIONS /" is another question.
      if (method === 'OPTIONS' && BARE_AUTHORITY.test(target)) return { code: 'target-malformed', reason: 'OPTIONS *' }
      const { host, port, path, query } = parts
      return {
        path,
        query,
        target: { kind: 'name', host, port, isSecure: HTTPS.test(target) },
        evidence: evidence(fields, line),
      }
    },
  }
}

function shownOn(line: Head['line'], values: readonly string[]): ShownKeys {
  const [text] = values
  if (text === undefined || values.length > 1) return proxyKeys(values)
  if (line.proof?.text !== text) line.proof = { text, shown: proxyKeys(values) }
  return line.proof.shown
}

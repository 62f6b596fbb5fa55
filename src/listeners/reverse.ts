import type { Evidence, PresentedKey, Target } from '../core/ask.ts'
import { parseHost } from '../core/host.ts'
import { hasOneReading } from '../core/path.ts'
import { Secret } from '../core/secret.ts'
import type { Kind } from '../forms/kind.ts'
import { z } from '../forms/zod.ts'
import type { Slot } from '../injections/injection.ts'
import { textInSlot } from '../injections/slot.ts'
import { parseOriginForm } from '../wire/authority.ts'
import { valuesOf } from '../wire/fields.ts'
import type { Fault } from '../wire/framing.ts'
import { faultOfSite } from '../wire/site.ts'
import type { Door, DoorTools, Head, Reader, Reading } from './door.ts'
import { HttpDoor } from './http-door.ts'
import { originKeys } from './keys.ts'
import { doorCaller, doorListen, doorTls, maxSockets, mode, refusePlace, systemd } from './settings.ts'
import { unityCatalogRoute } from './unity-catalog.ts'

const schema = z
  .strictObject({
    kind: z.literal('reverse'),
    listen: doorListen,
    mode,
    systemd,
    caller: doorCaller,
    tls: doorTls,
    maxSockets,
    connection: z
      .string()
      .optional()
      .meta({ description: 'the one connection behind this door; the path is sent as it comes' }),
    connections: z.array(z.string()).min(1).optional().meta({
      description:
        'the connections behind this door, by first path segment: `/crm/v1/contacts`; without it and `connection`, all',
    }),
    face: z.enum(['unity-catalog']).optional().meta({
      description:
        'answers as another product does: `unity-catalog` for code that was written for HTTP connections of Databricks, by its paths, its stripping and its errors',
    }),
    hostnames: z
      .array(z.string().refine((name) => parseHost(name) === name, 'use a plain host name such as "crm.internal"'))
      .default([])
      .meta({ description: 'names besides localhost and the listen address that `Host` may carry at a TCP door' }),
  })
  .refine(
    (one) => one.connection === undefined || one.connections === undefined,
    'use connection or connections, not both',
  )
  .refine((one) => one.face === undefined || one.connection === undefined, {
    path: ['connection'],
    message: 'use connections: with a face, the path names the connection',
  })
  .superRefine(refusePlace)
  .meta({ description: 'a base URL for apps: no proxy setting, no certificate authority' })

type Settings = z.infer<typeof schema>

/** The door of a base URL: origin-form requests, the proof where the upstream's own key would be. */
export const reverse: Kind<typeof schema, DoorTools, Door> = {
  schema,
  build: (settings, tools) =>
    new HttpDoor({ ...settings, reader: readerFor(settings, tools), hasTunnels: false }, tools),
}

function readerFor(settings: Settings, { gate }: DoorTools): Reader {
  const slotsOf = (target: Target) =>
    target.kind === 'connection' ? gate.snapshot().connections.get(target.name)?.injection?.slots : undefined
  const site = settings.listen.startsWith('unix:')
    ? undefined
    : { listen: settings.listen, hostnames: settings.hostnames }
  return {
    challenge: settings.face ?? 'origin',
    evidence: (fields, { peer, address, certificate }) =>
      evidenceOf(fields, { doorCaller: settings.caller, peer, address, certificate, keys: keysOf(fields, '') }),
    read({ method, target, fields, line }: Head): Reading | Fault {
      const parts = parseOriginForm(target)
      if (!parts) return { code: 'target-malformed', reason: 'not an origin-form target' }
      const fault = site && faultOfSite(fields, site)
      if (fault) return fault
      const asked = { method, fields, ...parts }
      const route = settings.face ? unityCatalogRoute(asked, settings) : routeOf(parts.path, settings)
      if ('code' in route) return route
      const shown = keysOf(fields, parts.query, slotsOf(route.target))
      const keys = settings.face ? faceKeys(fields, shown) : shown
      const { peer, address, certificate } = line
      const evidence = evidenceOf(fields, { doorCaller: settings.caller, peer, address, certificate, keys })
      return { query: parts.query, ...route, evidence }
    },
  }
}

/** A client of Unity Catalog shows its key in Authorization; whatever else it sends is meant for the upstream. */
function faceKeys(fields: readonly string[], shown: readonly PresentedKey[]): readonly PresentedKey[] {
  const keys = originKeys(valuesOf(fields, 'authorization'))
  return keys.length > 0 ? keys : shown
}

/** One of two may be a caller key, and where nothing is injected the other would take it along upstream. */
function evidenceOf(fields: readonly string[], known: Omit<Evidence, 'keysAre'>): Evidence {
  const isDouble = valuesOf(fields, 'authorization').length > 1
  return isDouble ? { ...known, unreadable: true, keysAre: 'certain' } : { ...known, keysAre: 'maybe' }
}

/** The upstream's own place first: an app that fills both means the one its SDK knows. */
function keysOf(fields: readonly string[], query: string, slots: readonly Slot[] = []): readonly PresentedKey[] {
  const texts = slots
    .filter((slot) => !slot.keyless && !(slot.in === 'header' && slot.prefix === 'Basic '))
    .flatMap((slot) => textInSlot(slot, fields, query))
    .filter((text) => text !== '')
  if (texts.length > 0) return [...new Set(texts)].map((text) => ({ key: new Secret(text) }))
  return originKeys(valuesOf(fields, 'authorization'))
}

function routeOf(path: string, { connection, connections }: Settings): { target: Target; path: string } {
  if (connection !== undefined) return { target: { kind: 'connection', name: connection }, path }
  const [, name = '', rest = ''] = /^\/([^/]*)(.*)$/.exec(path) ?? []
  // A path that climbs would leave its connection at the server, whatever the segment says; no connection is called "".
  const isListed = hasOneReading(path) && (connections === undefined || connections.includes(name))
  return { target: { kind: 'connection', name: isListed ? name : '' }, path: rest === '' ? '/' : rest }
}

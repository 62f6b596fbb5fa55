import { isIP } from 'node:net'
import { operatorSettings } from '../admin/settings.ts'
import { auditSettings } from '../audit/settings.ts'
import { callerSettings } from '../callers/registry.ts'
import { parseName } from '../core/host.ts'
import { hasOneReading } from '../core/path.ts'
import type { Rule } from '../core/rule.ts'
import { sourceSettings } from '../credentials/registry.ts'
import { allowPrivate, hostPattern, port } from '../forms/network.ts'
import { methods, paths } from '../forms/rule.ts'
import { z } from '../forms/zod.ts'
import { injectionSettings } from '../injections/registry.ts'
import { doorSettings } from '../listeners/registry.ts'
import { listen, refuseMode, mode as socketMode, systemd } from '../listeners/settings.ts'
import { storeSettings } from '../store/registry.ts'
import { tracesSettings } from '../tracing/settings.ts'
import { healthSettings } from './health.ts'
import { apiReference, checkOperations, operationIds } from './operation-settings.ts'
import { presetSettings } from './presets/registry.ts'
import { checkPublicUrl } from './public-url.ts'
import { upstreamTls } from './upstream-tls.ts'

const name = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$/, 'use a name of letters, digits, ".", "_", "@" and "-", 128 at most')

const milliseconds = z.int().min(1).max(86_400_000)

const limits = z
  .strictObject({
    connectTimeoutMs: milliseconds.default(5_000).meta({ description: 'ms for name resolution, TCP and TLS together' }),
    responseTimeoutMs: milliseconds.default(60_000).meta({ description: 'ms until the head of the answer' }),
    idleTimeoutMs: milliseconds
      .default(300_000)
      .meta({ description: 'ms that the body of a request or of an answer may stand still' }),
    maxConcurrent: z
      .int()
      .min(1)
      .max(10_000)
      .default(256)
      .meta({ description: 'requests in flight at once, for each caller' }),
    maxTunnels: z.int().min(1).max(100_000).default(1024).meta({
      description: 'opened `CONNECT` tunnels at once, for each caller; what comes through them counts by itself',
    }),
    maxRequestBytes: z
      .int()
      .min(0)
      .default(Number.MAX_SAFE_INTEGER)
      .meta({ description: 'bytes of a request body; streamed, never held in memory' }),
    tunnelTimeoutMs: milliseconds
      .default(86_400_000)
      .meta({ description: 'ms that an unopened tunnel may last in all' }),
  })
  .prefault({})
  .meta({ description: 'bounds of this connection' })

/** Of what goes out without a connection. */
export const DEFAULT_LIMITS = limits.parse(undefined)

const basePath = z
  .string()
  .regex(/^\/[!-"$->@-~]*[!-"$-.0->@-~]$/, 'use a path such as "/v1": "/" first, none last, no query')
  .refine(
    (path) => path.startsWith('/') && hasOneReading(path),
    'use a path without "//", ".", ".." or an encoded slash',
  )
  .optional()

const environmentName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'use the name of an environment variable')
const placeholder = z.string().regex(/^[!-~]{1,256}$/, 'use visible ASCII, as in "held-by-sallyport"')

const connection = z
  .strictObject({
    hosts: z
      .array(hostPattern)
      .min(1, 'name at least one host')
      .meta({ description: 'names that mean this connection; the most specific wins' }),
    port: port
      .optional()
      .meta({ description: 'port of the upstream; without it 443, or 80 where plaintext is allowed' }),
    basePath: basePath.meta({
      description: 'a reverse door puts it before the path; a forward door refuses what is not below it',
    }),
    tls: upstreamTls.meta({ description: 'whom to trust as the upstream, and what to show to it' }),
    allowPrivate,
    preset: presetSettings.optional().meta({
      description:
        'fills in what a service needs: endpoints, their quirks, the injection; as `NAME`, or `{ name: NAME }` with its parameters; what stands here itself goes before it',
    }),
    credential: sourceSettings.meta({ description: 'where the credential comes from' }),
    inject: injectionSettings
      .optional()
      .meta({ description: 'how it enters a request; `{ kind: bearer }` unless said otherwise' }),
    scrubResponses: z.boolean().default(false).meta({
      description:
        'keeps the credential out of answers, where an upstream sends back what it was sent: `*` in place of each byte of it and of its usual encodings, in fields, body and trailers',
    }),
    websocket: z.boolean().default(false).meta({ description: 'relays `Upgrade: websocket`' }),
    connect: z.enum(['intercept', 'tunnel', 'refuse']).optional().meta({
      description:
        'what `CONNECT` to it opens: `intercept` answers TLS by `ca`, so that the credential can be injected; `tunnel` passes bytes unopened, without a credential; without it `intercept` where something is injected and there is a `ca`, else `refuse` (but plain HTTP in `CONNECT host:80` is served, as `http://host/` is)',
    }),
    tunnel: z.enum(['tls', 'any']).default('tls').meta({
      description:
        'what an unopened tunnel may carry: `tls` for the very host of `CONNECT`, or `any` bytes, of which nobody knows where they lead',
    }),
    http2: z.boolean().default(false).meta({
      description: 'offers HTTP/2 to the upstream, which gRPC needs; what it then chooses is used',
    }),
    placeholders: z.record(environmentName, placeholder).default({}).meta({
      description:
        'environment variables that `sallyport run` and `env` set, for tools that send nothing without a credential of their own; the values are worthless and never leave',
    }),
    disabled: z.boolean().default(false).meta({
      description: 'refuses everybody, whatever the grants say; `sallyport connection disable` does it while running',
    }),
    propagateTrace: z.boolean().optional().meta({
      description:
        'whether the upstream learns of traces: `true` always, where there are `traces`; `false` never, and no `baggage` either; without it as the caller has it: one that sends a `traceparent` has it passed on, with our span in place of its own where there are `traces`',
    }),
    limits,
    unsafeAllowPlaintextUpstream: z
      .boolean()
      .default(false)
      .meta({ description: 'speaks plain HTTP to the upstream: whoever is on the way reads the credential' }),
  })
  .meta({ id: 'Connection', description: 'a named upstream: its hosts, its credential, its injection' })

const rule = z
  .strictObject({
    methods,
    paths,
    openapi: apiReference.optional(),
    operations: operationIds.optional(),
  })
  .superRefine(checkOperations)
  .meta({ id: 'Rule', description: 'requests that a grant lets through: both methods and paths must fit' })
  .transform((one): typeof one & { readonly alternatives?: readonly Rule[] } => one)

const hosts = z.array(hostPattern)

/** What a mode means is the same wherever it stands. */
const mode = z.enum(['enforce', 'report']).default('enforce')

const allowlist = z
  .union(
    [
      hosts,
      z.strictObject({
        hosts: hosts.default([]).meta({ description: 'names that egress may reach at all' }),
        mode: mode.meta({
          description:
            '`report` lets every other name out too, without a credential, and records what would have been refused',
        }),
      }),
    ],
    { error: 'use a list of hosts, or { hosts: [...], mode: report }' },
  )
  .default([])
  .meta({ description: 'gate 1: names that egress may reach at all; empty: nothing leaves' })

const grant = z
  .strictObject({
    caller: z.string().optional().meta({ description: 'name of a caller; use this or `group`' }),
    group: z
      .string()
      .min(1)
      .max(256)
      .optional()
      .meta({ description: 'every caller whose proof names this group; use this or `caller`' }),
    connection: z.string().meta({ description: 'name of a connection' }),
    rules: z
      .array(rule)
      .min(1, 'name at least one rule, or leave rules out for all')
      .optional()
      .meta({ description: 'methods and paths that are let through; absent: all' }),
    until: z.iso
      .datetime({ offset: true, error: 'use a time such as 2027-06-30T00:00:00Z' })
      .transform((text) => Date.parse(text))
      .optional()
      .meta({ description: 'refused from this very millisecond on, and what is under way is cut' }),
    mode: mode.meta({
      description:
        '`report` lets through what matches no rule, and records that; only where the connection injects nothing',
    }),
  })
  .refine((one) => (one.caller === undefined) !== (one.group === undefined), 'use exactly one of caller and group')
  .meta({ id: 'Grant', description: 'permission for a caller, or a group of them, to use a connection' })

const address = z.string().refine((text) => isIP(text) !== 0, 'use an IP address such as "10.0.0.7" or "fd00::7"')

/** `address`, `address:port` or `[v6]:port`, as node:dns takes them. */
const resolver = z.string().refine((text) => {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+))(?::([0-9]{1,5}))?$/.exec(text) ?? []
  return (isIP(bracketed ?? plain ?? text) !== 0 || isIP(text) !== 0) && Number(port ?? 53) <= 65535
}, 'use the address of a resolver, as in "10.0.0.2" or "10.0.0.2:5353"')

const exactName = z.string().refine((text) => parseName(text) === text, 'use an exact name such as "api.example.com"')

const dns = z
  .strictObject({
    servers: z
      .array(resolver)
      .min(1)
      .optional()
      .meta({ description: 'resolvers as `address` or `address:port`, instead of those of the machine' }),
    hosts: z
      .record(exactName, z.array(address).min(1))
      .default({})
      .meta({ description: 'addresses by exact name; they pass the same address check as any other' }),
  })
  .prefault({})

const authority = z.union(
  [
    z.literal('ephemeral'),
    z.strictObject({
      directory: z
        .string()
        .min(1)
        .meta({ description: 'where its key is kept; made, and closed to other users, when it is not there' }),
      bundle: z.string().min(1).optional().meta({
        description:
          'where to write the certificates that apps are to trust, the public ones and ours; without it `bundle.pem` in the directory, which other users cannot read',
      }),
    }),
  ],
  { error: 'use ephemeral, or { directory: DIR } with or without bundle: PATH' },
)

/** What a settings file may say: the one source of the type, the JSON Schema and the reference. */
export const settingsSchema = z
  .strictObject({
    listeners: z
      .array(doorSettings)
      .min(1, 'name at least one listener')
      .meta({ description: 'the doors callers knock on' }),
    admin: z
      .strictObject({
        listen,
        mode: socketMode,
        systemd,
        url: z.string().superRefine(checkPublicUrl).optional().meta({
          description:
            'where browsers reach this door, as in `https://sallyport.example.com`: part of the redirect URIs of logins, and taken as `Host`; without it `http://` and the address of `listen`',
        }),
        operators: z.record(name, operatorSettings).default({}).meta({
          description:
            'who may use the API, by a name for the audit; without any, root and the user of Sallyport itself, at a `unix:` socket alone',
        }),
      })
      .superRefine(refuseMode)
      .optional()
      .meta({ description: 'the operator’s door: health, metrics and the admin API' }),
    health: healthSettings.optional().meta({
      description:
        'a door for probes and Prometheus alone, which may be on an address that others reach: nothing of the admin API is behind it',
    }),
    allowlist,
    callers: z.record(name, callerSettings).default({}).meta({ description: 'who may ask, and how they prove it' }),
    connections: z.record(name, connection).default({}).meta({ description: 'the upstreams' }),
    grants: z.array(grant).default([]).meta({ description: 'gate 2: who may use which connection; none: nobody' }),
    ca: authority.optional().meta({
      description:
        'the authority that answers TLS for intercepted hosts: `ephemeral` (in memory, new at each start) or `{ directory: DIR }`; its certificates name no other hosts',
    }),
    store: storeSettings.optional().meta({
      description:
        'what outlives a restart: callers and grants that are added while running, switches, sealed secrets, logins of people, the audit; without it the settings say everything',
    }),
    dns: dns.meta({ description: 'name resolution' }),
    audit: auditSettings,
    traces: tracesSettings.optional().meta({
      description: 'spans of each ask, for a collector that speaks OTLP over HTTP; none without it',
    }),
    log: z
      .strictObject({
        level: z
          .enum(['debug', 'info', 'warn', 'error', 'silent'])
          .default('info')
          .meta({ description: 'the least important messages that are still written' }),
      })
      .prefault({})
      .meta({ description: 'the log for operators, on standard error' }),
    drainTimeoutMs: milliseconds
      .default(10_000)
      .meta({ description: 'ms that requests in flight have to finish at shutdown' }),
  })
  .meta({ title: 'Sallyport settings' })

export type Settings = z.infer<typeof settingsSchema>
export type ConnectionSettings = z.infer<typeof connection>

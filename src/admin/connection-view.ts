import { hasEnded, holderText } from '../core/grants.ts'
import type { StoredSwitch } from '../core/holdings.ts'
import type { SupplyState } from '../credentials/credential.ts'
import { z } from '../forms/zod.ts'
import { loginSummary, summaryOf } from './login-view.ts'
import type { AdminPorts, DeclaredConnection } from './ports.ts'
import { iso, named } from './shapes.ts'
import { holdingsOf } from './store-of.ts'

const time = z.iso.datetime()

const disabledBy = named(
  'Switch',
  z.strictObject({
    source: z.enum(['declared', 'stored']).meta({ description: '`declared`: by the settings file' }),
    by: z.string().optional().meta({ description: 'name of an operator' }),
    at: time.optional(),
    reason: z.string().optional(),
  }),
)

const PHASES = ['absent', 'minting', 'fresh', 'refreshing', 'stale', 'failed', 'held', 'none'] as const

/** A connection, and how it does. */
export const connection = named(
  'Connection',
  z.strictObject({
    name: z.string(),
    hosts: z.array(z.string()),
    port: z.int(),
    source: z.string().meta({ description: 'kind of the source of its credential' }),
    injection: z.string().optional().meta({ description: 'how the credential enters; absent: nothing is injected' }),
    connect: z.enum(['intercept', 'tunnel', 'refuse', 'unsaid']).meta({ description: 'what CONNECT opens' }),
    disabled: z.boolean(),
    disabledBy: disabledBy.optional(),
    phase: z.enum(PHASES).meta({
      description:
        '`held`: a long-lived secret; `none`: nothing to inject; the others are the life of a token, `stale`: still good, but the last refresh failed',
    }),
    mintedAt: time.optional(),
    expiresAt: time.optional(),
    nextAttemptAt: time.optional().meta({ description: 'before this nothing is asked of the issuer' }),
    separate: z.int().optional().meta({
      description:
        'how many credentials there are just now, where not everybody has the same; phase and times are those of whoever asked last',
    }),
    lastError: z
      .strictObject({ code: z.string(), reason: z.string(), at: time })
      .optional()
      .meta({ description: 'the last failure since the last success' }),
    login: loginSummary.optional().meta({ description: 'how it stands with the logins; absent where nobody logs in' }),
    holders: z.int().meta({ description: 'callers and groups that hold a grant which has not ended' }),
  }),
)

export type ConnectionView = z.infer<typeof connection>

/** A connection of the settings as the API shows it. */
export function connectionView(name: string, declared: DeclaredConnection, ports: AdminPorts): ConnectionView {
  const { hosts, port, source, injection, connect } = declared
  return {
    name,
    hosts: [...hosts],
    port,
    source,
    ...(injection !== undefined && { injection }),
    connect,
    ...switchOf(name, declared, ports),
    ...stateOf(ports.supplies().get(name) ?? { phase: 'none' }),
    ...loginOf(name, ports),
    holders: holdersOf(name, ports),
  }
}

/** The state of the switch alone: what a change of it is about. */
export function switchOf(
  name: string,
  { disabled }: Pick<DeclaredConnection, 'disabled'>,
  ports: Pick<AdminPorts, 'store'>,
): Pick<ConnectionView, 'disabled' | 'disabledBy'> {
  if (disabled) return { disabled, disabledBy: { source: 'declared' } }
  const stored = holdingsOf(ports).switches.find(({ connection }) => connection === name)
  return stored ? { disabled: true, disabledBy: storedView(stored) } : { disabled: false }
}

function storedView({ by, at, reason }: StoredSwitch): NonNullable<ConnectionView['disabledBy']> {
  return { source: 'stored', by, at: iso(at), ...(reason !== undefined && { reason }) }
}

function stateOf({ phase, mintedAt, expiresAt, nextAttemptAt, lastError, separate }: SupplyState) {
  return {
    phase,
    ...(mintedAt !== undefined && { mintedAt: iso(mintedAt) }),
    ...(expiresAt !== undefined && { expiresAt: iso(expiresAt) }),
    ...(nextAttemptAt !== undefined && { nextAttemptAt: iso(nextAttemptAt) }),
    ...(separate !== undefined && { separate }),
    ...(lastError && { lastError: { ...lastError, at: iso(lastError.at) } }),
  }
}

function loginOf(name: string, ports: AdminPorts): Pick<ConnectionView, 'login'> {
  const desk = ports.desks().get(name)
  return desk ? { login: summaryOf(desk) } : {}
}

function holdersOf(name: string, ports: AdminPorts): number {
  const now = ports.clock.now()
  const all = [...ports.declared().grants, ...holdingsOf(ports).grants]
  const live = all.filter(({ connection, until }) => connection === name && !hasEnded({ until }, now))
  return new Set(live.map(({ holder }) => holderText(holder))).size
}
